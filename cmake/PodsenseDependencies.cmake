# Third-party libraries, each found once here and linked by its one owner module (ARCHITECTURE.md).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED)                                   # transport (Asio, Beast)
find_package(simdjson REQUIRED)                                     # protocol
find_package(nlohmann_json REQUIRED)                                # protocol, server: cold documents
find_package(fmt REQUIRED)                                          # base
find_package(yaml-cpp REQUIRED)                                     # model (manifest), server (configuration)
find_package(CLI11 REQUIRED)                                        # cli
find_package(OpenSSL REQUIRED)                                      # base (sha256)
find_package(CURL REQUIRED)                                         # fetch
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)             # fetch
find_package(ZLIB REQUIRED)                                         # transport (gzip request bodies), fetch (gzip answers)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)        # metrics
find_package(tl-expected REQUIRED)                                  # base (Result)
find_package(Protobuf 3.21 REQUIRED)                                # grpc, load, model: messages
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)      # transport, load (HTTP/2)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)            # image
pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET spng)            # image
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp)  # image
pkg_check_modules(AVIF REQUIRED IMPORTED_TARGET libavif)  # image
find_package(GIF 5 REQUIRED)                                        # image

if(NOT EXISTS ${ONNXRUNTIME_ROOT}/lib/libonnxruntime.so.1)
  message(FATAL_ERROR "no ONNX Runtime at ${ONNXRUNTIME_ROOT}: run 'make setup', "
                      "or set ONNXRUNTIME_ROOT to an unpacked release")
endif()
add_library(onnxruntime SHARED IMPORTED)                            # model
set_target_properties(onnxruntime PROPERTIES
  IMPORTED_LOCATION ${ONNXRUNTIME_ROOT}/lib/libonnxruntime.so.1
  IMPORTED_SONAME libonnxruntime.so.1
  INTERFACE_INCLUDE_DIRECTORIES ${ONNXRUNTIME_ROOT}/include)

if(PODSENSE_OPENVINO)
  if(NOT EXISTS ${OPENVINO_ROOT}/lib/libopenvino.so)
    message(FATAL_ERROR "no OpenVINO at ${OPENVINO_ROOT}: run scripts/get-openvino.sh")
  endif()
  file(STRINGS ${OPENVINO_ROOT}/include/openvino/core/version.hpp parts REGEX "define OPENVINO_VERSION_[A-Z]+ [0-9]+")
  string(REGEX REPLACE "[^;]* ([0-9]+);[^;]* ([0-9]+);[^;]* ([0-9]+)" "\\1.\\2.\\3" OPENVINO_VERSION "${parts}")
  add_library(openvino SHARED IMPORTED)                             # openvino
  file(REAL_PATH ${OPENVINO_ROOT}/lib/libopenvino.so openvino_library)
  set_target_properties(openvino PROPERTIES
    IMPORTED_LOCATION ${openvino_library}
    INTERFACE_LINK_OPTIONS "-Wl,-rpath-link,${OPENVINO_ROOT}/lib"
    INTERFACE_INCLUDE_DIRECTORIES ${OPENVINO_ROOT}/include)
endif()

if(PODSENSE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(PODSENSE_BENCH)
  find_package(benchmark REQUIRED)
endif()
if(PODSENSE_TESTS OR PODSENSE_BENCH)
  find_package(gRPC CONFIG REQUIRED)                                # clients of the tests, a server to compare with
endif()
