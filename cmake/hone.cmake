# What every target of the build shares: the language, the warnings, the floating-point rules, Highway's targets,
# and the two functions that turn a folder into a static library or a test program.

option(HONE_BUILD_TESTS "Build the test programs" ON)
option(HONE_TORCH "Build what needs libtorch (the targets ending in _torch, and hone-torch), where it is found" ON)
option(HONE_FUZZ "Build the libFuzzer programs of fuzz/ (clang only) instead of the tests" OFF)
set(HONE_SANITIZE "" CACHE STRING "Sanitizers for the whole build: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(HONE_CCACHE ccache)
if(HONE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${HONE_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
# libtorch is used by the targets ending in _torch alone; nothing else sees its headers or its flags.
if(HONE_TORCH AND NOT HONE_FUZZ AND NOT CMAKE_CROSSCOMPILING)
  find_path(HONE_TORCH_INCLUDE torch/csrc/api/include/torch/torch.h)
  find_library(HONE_TORCH_LIBRARY torch_cpu)
  find_library(HONE_C10_LIBRARY c10)
endif()
if(HONE_TORCH_INCLUDE AND HONE_TORCH_LIBRARY AND HONE_C10_LIBRARY)
  set(HONE_HAS_TORCH TRUE)
  add_library(hone_torch_library INTERFACE)
  target_include_directories(hone_torch_library SYSTEM INTERFACE
    ${HONE_TORCH_INCLUDE} ${HONE_TORCH_INCLUDE}/torch/csrc/api/include)
  target_link_libraries(hone_torch_library INTERFACE ${HONE_TORCH_LIBRARY} ${HONE_C10_LIBRARY})
else()
  set(HONE_HAS_TORCH FALSE)
  message(STATUS "libtorch is not used: hone-torch (hone train) and its tests are left out "
                 "(make train installs it: Debian's libtorch-dev)")
endif()

# Flags of the whole build. A fused multiply-add is written where it is meant, never contracted by the compiler,
# so that every CPU target and every loop order gives the bits the kernel promises.
add_library(hone_flags INTERFACE)
target_compile_features(hone_flags INTERFACE cxx_std_20)
target_compile_options(hone_flags INTERFACE
  "$<BUILD_INTERFACE:-Wall;-Wextra;-Wno-missing-field-initializers;-Werror=return-type;-ffp-contract=off>")
# AVX2 and AVX3 (AVX-512) beside the scalar fallback; AVX3_DL of Highway 1.0.3 names the wrong VNNI extension.
# On Arm NEON; scalar beside it has to be asked for.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  target_compile_definitions(hone_flags INTERFACE
    "$<BUILD_INTERFACE:HWY_COMPILE_ALL_ATTAINABLE;HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE_256|HWY_SVE2|HWY_SVE2_128)>")
else()
  target_compile_definitions(hone_flags INTERFACE
    "$<BUILD_INTERFACE:HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_SSE4|HWY_AVX3_DL)>")
endif()
target_include_directories(hone_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                                                $<INSTALL_INTERFACE:include/hone>)
if(HONE_FUZZ)
  target_compile_options(hone_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
  target_link_options(hone_flags INTERFACE -fsanitize=address,undefined)
endif()
if(HONE_SANITIZE)
  target_compile_options(hone_flags INTERFACE -fsanitize=${HONE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(hone_flags INTERFACE -fsanitize=${HONE_SANITIZE})
endif()

# hone_library(DEPENDS ...): the sources of this folder become one static library, named after its path below src/
# (src/core/formats/gguf -> hone_core_formats_gguf).
function(hone_library)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "_" name "hone_${path}")
  set_property(GLOBAL APPEND PROPERTY HONE_LIBRARIES ${name})  # what cmake/package.cmake installs
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_torch\\.cc$")
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE hone_flags ${ARG_DEPENDS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC hone_flags ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
endfunction()

# hone_torch_library(DEPENDS ...): the sources of this folder that end in _torch.cc become a static library of their own
# (src/language/models -> hone_language_models_torch), which stands on the folder's library and on libtorch.
function(hone_torch_library)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  if(NOT HONE_HAS_TORCH)
    return()
  endif()
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "_" name "hone_${path}")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_torch.cc)
  add_library(${name}_torch STATIC ${sources})
  target_link_libraries(${name}_torch PUBLIC ${name} ${ARG_DEPENDS} hone_torch_library)
endfunction()

# One test program of this folder's `sources`, named after the folder plus `suffix`; CTest sees every TEST in it.
function(hone_test_program suffix sources depends)
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "_" name "test_${path}${suffix}")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE hone_flags ${depends} hone_test_support GTest::gtest GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300)
endfunction()

# hone_test(DEPENDS ...): the sources of this test folder that end in _test.cc, but not in _torch_test.cc.
function(hone_test)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  list(FILTER sources EXCLUDE REGEX "_torch_test\\.cc$")
  hone_test_program("" "${sources}" "${ARG_DEPENDS}")
endfunction()

# hone_torch_test(DEPENDS ...): those that end in _torch_test.cc, where libtorch is there.
function(hone_torch_test)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  if(HONE_HAS_TORCH)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_torch_test.cc)
    hone_test_program("_torch" "${sources}" "${ARG_DEPENDS}")
  endif()
endfunction()
