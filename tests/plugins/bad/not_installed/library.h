/* The library that is there when the plugin is linked, and gone when it is loaded. */
#ifndef BAD_LIBRARY_H
#define BAD_LIBRARY_H

const char *bm_bad_library_version(void) __attribute__((visibility("default")));

#endif
