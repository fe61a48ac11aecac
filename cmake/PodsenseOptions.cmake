# Warnings and sanitizers live on interface targets, never in global flags.
add_library(podsense_options INTERFACE)
target_compile_options(podsense_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual
  -Wunused -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(podsense_options INTERFACE -Wthread-safety -Wextra-semi
    # Options structs have defaults for a reason.
    -Wno-missing-designated-field-initializers)
  target_link_options(podsense_options INTERFACE -fuse-ld=lld-19)
endif()
target_compile_options(podsense_options INTERFACE
  -fstack-protector-strong $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
target_link_options(podsense_options INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(PODSENSE_SANITIZE)
  # The library's own checks find a span cut beyond its end where that happens.
  target_compile_options(podsense_options INTERFACE -D_GLIBCXX_ASSERTIONS
    -fsanitize=${PODSENSE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(podsense_options INTERFACE -fsanitize=${PODSENSE_SANITIZE})
endif()
if(PODSENSE_FUZZ)
  target_compile_options(podsense_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(podsense_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
