# Run by cpack after it has made the Debian packages. It takes what lies in a folder of /usr/lib for a library that everybody
# links and adds scripts that call ldconfig, which plugins do not need and policy does not want: packs again without them.
foreach(package IN LISTS CPACK_PACKAGE_FILES)
    set(folder ${package}.folder)
    execute_process(COMMAND dpkg-deb --raw-extract ${package} ${folder} COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE ${folder}/DEBIAN/postinst ${folder}/DEBIAN/postrm)
    # Whatever mask the one who packs has.
    file(CHMOD ${folder} ${folder}/DEBIAN PERMISSIONS ${CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
    execute_process(COMMAND dpkg-deb --root-owner-group --threads-max=1 -Zxz --build ${folder} ${package}
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE_RECURSE ${folder})
endforeach()
