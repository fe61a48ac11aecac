# PodSense as a container image: the binary, the libraries that it loads, certificates and the default
# models; no shell, no package manager. For amd64 and arm64.
#
#   docker build -t podsense:local .        or: make image   (where there is no Docker: by buildah)
#
# What changes seldom comes first, so that a change of the sources compiles what changed and no more.
# The cache mounts only save time.

ARG BASE=docker.io/library/debian:bookworm-slim

# --- What building needs. Only scripts/setup.sh and its like decide what is in this layer.
FROM ${BASE} AS tools
WORKDIR /podsense
COPY scripts/lib.sh scripts/setup.sh scripts/
RUN scripts/setup.sh && rm -rf /var/lib/apt/lists/*
ENV BUILD_CACHE=/cache/podsense CCACHE_DIR=/cache/ccache \
    CCACHE_BASEDIR=/podsense CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=time_macros
COPY scripts/get-onnxruntime.sh scripts/
RUN --mount=type=cache,id=podsense-downloads,target=/cache/podsense,sharing=locked \
    scripts/get-onnxruntime.sh

# --- The default models, made by their recipes.
FROM tools AS models
ARG RANDOM_STATE=42
ARG N_ESTIMATORS=100
# The image model's version 1, fp32, is not served unless asked for, and is as large as all the rest:
# --build-arg WITH_FP32=1 leaves it in.
ARG WITH_FP32=0
ENV ORT_DISABLE_TELEMETRY=1
COPY scripts/venv.sh scripts/
COPY models models
RUN --mount=type=cache,id=podsense-downloads,target=/cache/podsense,sharing=locked \
    RANDOM_STATE=${RANDOM_STATE} N_ESTIMATORS=${N_ESTIMATORS} models/make_models.sh /out/models && \
    { [ "${WITH_FP32}" = 1 ] || rm -r /out/models/efficientnet-lite0/1; } && \
    find /out -exec touch --no-dereference --date=@0 {} +

# --- The binary, and a root file system with what it loads.
FROM tools AS build
COPY . .
ARG REVISION=unknown
RUN --mount=type=cache,id=podsense-ccache,target=/cache/ccache \
    cmake --preset release --log-level=WARNING -DPODSENSE_TESTS=OFF -DPODSENSE_COMMIT="${REVISION}" \
      -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON && \
    ninja -C build/release podsense
COPY --from=models /out/models /out/models
RUN scripts/image-root.sh build/release /out

# --- The recipes themselves, for the chart's init container that trains the random forest:
# docker build --target recipes -t podsense-models:local .
FROM ${BASE} AS recipes
COPY scripts/lib.sh scripts/setup.sh scripts/venv.sh /podsense/scripts/
COPY models/requirements.txt /podsense/models/
RUN /podsense/scripts/setup.sh --recipes && rm -rf /var/lib/apt/lists/* && \
    BUILD_CACHE=/opt/podsense /podsense/scripts/venv.sh models /podsense/models/requirements.txt && \
    ln -s /opt/podsense/venv/models-* /opt/recipes
COPY models /recipes
ENV PATH=/opt/recipes/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
USER 1000:1000
WORKDIR /recipes

# --- Debug information, for anyone who reads a core file: docker build --target symbols -o DIR .
FROM scratch AS symbols
COPY --from=build /out/symbols /

# --- What ships.
FROM scratch AS runtime
COPY --from=build /out/system /
COPY --from=models /out/models /models
COPY --from=build /out/app /
# ONNX Runtime's official builds would report model names to their maker.
ENV ORT_DISABLE_TELEMETRY=1 \
    PODSENSE_KNOWN_MODELS=/usr/share/podsense/known-models \
    PATH=/usr/bin
USER 1000:1000
WORKDIR /
# HTTP, gRPC; metrics and health
EXPOSE 8080 9000 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/usr/bin/podsense", "check"]
ENTRYPOINT ["/usr/bin/podsense"]
CMD ["serve"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="PodSense" \
      org.opencontainers.image.description="Serves ONNX models over HTTP and gRPC on Kubernetes" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="scratch"
