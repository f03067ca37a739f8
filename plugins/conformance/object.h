/* A plugin's file as the dynamic loader sees it: segments, dynamic symbols, flags; and, where they
 * have not been stripped, the names of its functions. */
#ifndef BM_CONFORM_OBJECT_H
#define BM_CONFORM_OBJECT_H

#include "case.h"

#include <link.h>

struct bm_conform_object {
    const unsigned char *bytes; /* the file, mapped */
    size_t length;
    const ElfW(Phdr) * segments;
    uint32_t segment_count;
    const ElfW(Dyn) * dynamic; /* up to DT_NULL */
    ElfW(Addr) dynamic_address;
    const ElfW(Sym) * symbols; /* number 0 is none */
    uint32_t symbol_count;
    const char *names;
    uint64_t names_size;
    const ElfW(Half) * versions; /* [symbol_count], or NULL */
};

/* Maps the plugin's file; what is no ELF file ends the case. Give it back with close. */
void bm_conform_object_open(struct bm_conform *conform, struct bm_conform_object *object);
void bm_conform_object_close(struct bm_conform_object *object);

/* The value of a dynamic tag, 0 if there is none. */
uint64_t bm_conform_object_tag(const struct bm_conform_object *object, int64_t tag);

const char *bm_conform_object_name(const struct bm_conform_object *object,
                                   const ElfW(Sym) * symbol);

/* The version that dynamic symbol `index`, which another library defines, must have; NULL: any. */
const char *bm_conform_object_version(const struct bm_conform_object *object, uint32_t index);

/* The name of a sanitizer's run-time that the file calls, or NULL. */
const char *bm_conform_object_sanitizer(const struct bm_conform_object *object);

/* "function+0x12" for an address as the file has it; empty if the symbols were stripped. */
void bm_conform_object_place(const struct bm_conform_object *object,
                             uint64_t address,
                             char *text,
                             size_t capacity);

#endif
