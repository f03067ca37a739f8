# batchmark_add_plugin(NAME SOURCE...) makes bm_NAME.so as plugin.h asks: hidden symbols, no undefined ones, never unloaded.
# It links the author's kit; inside Batchmark's own tree the file lands in build/plugins/ and is installed.
function(batchmark_add_plugin name)
    add_library(bm_plugin_${name} MODULE ${ARGN})
    set_target_properties(bm_plugin_${name} PROPERTIES
        PREFIX "" OUTPUT_NAME bm_${name}
        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
        POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(bm_plugin_${name} PRIVATE batchmark::kit)
    target_link_options(bm_plugin_${name} PRIVATE -Wl,-z,nodelete -Wl,-z,now -Wl,--exclude-libs,ALL)
    # Sanitizer run-times are resolved from the program, so -z defs cannot hold there.
    if(NOT BM_SANITIZE)
        target_link_options(bm_plugin_${name} PRIVATE -Wl,-z,defs)
    endif()
    if(BM_PLUGIN_OUTPUT_DIR)
        set_target_properties(bm_plugin_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${BM_PLUGIN_OUTPUT_DIR})
        target_link_libraries(bm_plugin_${name} PRIVATE bm_flags)
        set_property(GLOBAL APPEND PROPERTY BM_PLUGINS ${name}) # what is installed, and what the tests run on
    endif()
endfunction()
