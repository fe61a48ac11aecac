# Third-party libraries, each found once here. ARCHITECTURE.md says which modules include and link them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED)  # Asio, Beast
find_package(simdjson REQUIRED)
find_package(nlohmann_json REQUIRED)  # cold documents
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)
find_package(ZLIB REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
find_package(tl-expected REQUIRED)  # Result
find_package(Protobuf 3.21 REQUIRED)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp)
pkg_check_modules(AVIF REQUIRED IMPORTED_TARGET libavif)
find_package(GIF 5 REQUIRED)

if(NOT EXISTS ${ONNXRUNTIME_ROOT}/lib/libonnxruntime.so.1)
  message(FATAL_ERROR "no ONNX Runtime at ${ONNXRUNTIME_ROOT}: run 'make setup', "
                      "or set ONNXRUNTIME_ROOT to an unpacked release")
endif()
add_library(onnxruntime SHARED IMPORTED)
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
