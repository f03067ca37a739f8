# Read by cpack before each of its generators. Files in packages have one date, and so do the packages the same bytes:
# SOURCE_DATE_EPOCH, without it the time of the last commit.
if("$ENV{SOURCE_DATE_EPOCH}" STREQUAL "")
    execute_process(COMMAND git -C ${CMAKE_CURRENT_LIST_DIR} log -1 --format=%ct
        OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(NOT date MATCHES "^[0-9]+$")
        set(date 0)
    endif()
    set(ENV{SOURCE_DATE_EPOCH} ${date})
endif()

if(CPACK_GENERATOR STREQUAL "DEB")
    set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
    set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian_files.cmake)
    set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian_scripts.cmake)
    set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package's description begins with its own
elseif(CPACK_GENERATOR STREQUAL "TGZ")
    set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/archive.cmake)
endif()
