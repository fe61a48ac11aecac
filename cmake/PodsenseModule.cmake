# podsense_module(NAME SOURCES ... HEADERS ... [USES module ...] [PRIVATE_USES module ...]
#               [PUBLIC lib ...] [PRIVATE lib ...]
#               [TESTS file ...] [TEST_USES module ...] [BENCH file ...])
# One static library per module. HEADERS are those that others may include. USES names the modules
# that these headers name, PRIVATE_USES those that only the module's other files do, TEST_USES those
# that only its tests do; libraries are PUBLIC and PRIVATE in the same sense.
# scripts/check-modules.py holds what is included against these lists. Each test file becomes its
# own binary and ctest entries.
function(podsense_module name)
  cmake_parse_arguments(MODULE "" "" "SOURCES;HEADERS;USES;PRIVATE_USES;PUBLIC;PRIVATE;TESTS;TEST_USES;BENCH" ${ARGN})
  add_library(podsense_${name} STATIC ${MODULE_SOURCES})
  target_sources(podsense_${name} PUBLIC FILE_SET HEADERS
    BASE_DIRS ${CMAKE_SOURCE_DIR}/src FILES ${MODULE_HEADERS})
  set_target_properties(podsense_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_include_directories(podsense_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM MODULE_USES PREPEND podsense_)
  list(TRANSFORM MODULE_PRIVATE_USES PREPEND podsense_)
  list(TRANSFORM MODULE_TEST_USES PREPEND podsense_)
  target_link_libraries(podsense_${name}
    PUBLIC ${MODULE_USES} ${MODULE_PUBLIC}
    PRIVATE ${MODULE_PRIVATE_USES} ${MODULE_PRIVATE} podsense_options)
  if(PODSENSE_TESTS)
    foreach(file ${MODULE_TESTS})
      podsense_test(${file} podsense_${name} ${MODULE_TEST_USES})
    endforeach()
  endif()
  if(PODSENSE_BENCH)
    foreach(file ${MODULE_BENCH})
      get_filename_component(bench ${file} NAME_WE)
      add_executable(${bench} ${file})
      target_link_libraries(${bench} PRIVATE podsense_${name} podsense_options
                            benchmark::benchmark benchmark::benchmark_main)
    endforeach()
  endif()
endfunction()

# Half of all compiling is tests: not optimised, they take half of the time. What they test is the
# library, which is built as ever.
function(podsense_test file)
  get_filename_component(test ${file} NAME_WE)
  add_executable(${test} ${file})
  target_link_libraries(${test} PRIVATE ${ARGN} source_dir_testing podsense_options GTest::gtest
                        GTest::gmock GTest::gtest_main)
  target_compile_options(${test} PRIVATE -O0)
  gtest_discover_tests(${test} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# podsense_fuzzer(NAME MODULE...): fuzz/NAME.cc with seeds in fuzz/seeds/NAME.
function(podsense_fuzzer name)
  add_executable(${name} ${name}.cc)
  target_link_libraries(${name} PRIVATE ${ARGN} podsense_options)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets ${name})
endfunction()
