# `cmake --install`: the program, the libraries, their headers below include/hone, and the files with which another
# CMake project finds them: find_package(hone), target_link_libraries(... hone::hone).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(HONE_CONFIG_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/hone)
install(TARGETS hone RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
get_property(libraries GLOBAL PROPERTY HONE_LIBRARIES)
install(TARGETS hone_flags ${libraries} EXPORT honeTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/hone)
install(EXPORT honeTargets NAMESPACE hone:: DESTINATION ${HONE_CONFIG_FOLDER})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hone
        FILES_MATCHING PATTERN "*.h" PATTERN "*-inl.h" EXCLUDE)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/honeConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/honeConfig.cmake INSTALL_DESTINATION ${HONE_CONFIG_FOLDER})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/honeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/honeConfig.cmake ${PROJECT_BINARY_DIR}/honeConfigVersion.cmake
        DESTINATION ${HONE_CONFIG_FOLDER})
