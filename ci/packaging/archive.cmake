# Run by cpack after it has made an archive: packs the same folder again, sorted and without the name of who packed it, as
# ci/bundle does.
get_filename_component(folder ${CPACK_TEMPORARY_DIRECTORY} DIRECTORY)
get_filename_component(name ${CPACK_TEMPORARY_DIRECTORY} NAME)
execute_process(
    COMMAND tar -C ${folder} --sort=name --mtime=@$ENV{SOURCE_DATE_EPOCH} --owner=0 --group=0 --numeric-owner
        --mode=u=rwX,go=rX --format=gnu -cf - ${name}
    COMMAND gzip -9n
    OUTPUT_FILE ${CPACK_PACKAGE_FILES} COMMAND_ERROR_IS_FATAL ANY)
