# Run by cpack before it makes the Debian packages: adds to each what Debian's policy asks for, the changelog, the copyright
# and the reasons why lintian is not followed (overrides/), and packs the manual page.
set(sources ${CMAKE_CURRENT_LIST_DIR}/../..)

# The licence as Debian's format has it: every line indented, an empty one a full stop.
file(READ ${sources}/LICENSE licence)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)" copyright "${licence}")
set(copyright ${CMAKE_MATCH_1})
string(REGEX REPLACE "^.*Copyright \\(c\\) [^\n]*\n+" "" licence "${licence}")
string(STRIP "${licence}" licence)
string(REGEX REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REGEX REPLACE "\n" "\n " licence " ${licence}")

set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER ${component} key)
    set(package ${CPACK_DEBIAN_${key}_PACKAGE_NAME})
    set(share ${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright.in ${share}/doc/${package}/copyright @ONLY)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${share}/doc/${package}/changelog.Debian @ONLY)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/overrides/${package} ${share}/lintian/overrides/${package} COPYONLY)
    file(GLOB pages ${share}/man/man1/*.1)
    execute_process(COMMAND gzip -9nf ${share}/doc/${package}/changelog.Debian ${pages} COMMAND_ERROR_IS_FATAL ANY)
    # Whatever mask the one who packs has.
    file(CHMOD_RECURSE ${share} FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
    file(CHMOD_RECURSE ${CPACK_TEMPORARY_DIRECTORY}/${component}
        DIRECTORY_PERMISSIONS ${CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
endforeach()
