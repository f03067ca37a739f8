#include "object.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The loaded plugin's own handle: what it gives is looked up in the plugin and in what the plugin
 * names as its dependencies, not in the program. */
void *bm_conform_handle(const struct bm_conform *conform) {
    return dlopen(conform->request->path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
}

__typeof__(bm_plugin_entry) *bm_conform_entry(struct bm_conform *conform) {
    __typeof__(bm_plugin_entry) *entry = NULL;
    void *symbol = dlsym(bm_conform_handle(conform), "bm_plugin_entry");
    EXPECT(conform, symbol != NULL, "expected the symbol bm_plugin_entry, found none");
    /* ISO C has no conversion from object to function pointer; POSIX guarantees this one. */
    memcpy(&entry, &symbol, sizeof entry);
    return entry;
}

/* `size` bytes of the file, or NULL if it is shorter. */
static const void *at(const struct bm_conform_object *object, uint64_t offset, uint64_t size) {
    int lies_inside = offset <= object->length && size <= object->length - offset;
    return lies_inside ? object->bytes + offset : NULL;
}

/* The same for an address of the loaded file. */
static const void *
loaded_at(const struct bm_conform_object *object, uint64_t address, uint64_t size) {
    for (uint32_t i = 0; i < object->segment_count; i++) {
        const ElfW(Phdr) *segment = &object->segments[i];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz) {
            return at(object, segment->p_offset + (address - segment->p_vaddr), size);
        }
    }
    return NULL;
}

static void map_file(struct bm_conform *conform, struct bm_conform_object *object) {
    const char *path = conform->request->path;
    struct stat facts;
    void *bytes = MAP_FAILED;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && fstat(file, &facts) == 0 && facts.st_size > 0) {
        object->length = (size_t)facts.st_size;
        bytes = mmap(NULL, object->length, PROT_READ, MAP_PRIVATE, file, 0);
    }
    int reason = errno;
    if (file >= 0) {
        (void)close(file);
    }
    EXPECT(conform, bytes != MAP_FAILED, "cannot read %s: %s", path, strerror(reason));
    object->bytes = bytes;
}

static void find_segments(struct bm_conform *conform, struct bm_conform_object *object) {
    const ElfW(Ehdr) *header = at(object, 0, sizeof *header);
    EXPECT(conform, header != NULL && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0,
           "%s: expected an ELF file", conform->request->path);
    object->segment_count = header->e_phnum;
    object->segments =
        at(object, header->e_phoff, (uint64_t)header->e_phnum * sizeof *object->segments);
    for (uint32_t i = 0; object->segments != NULL && i < object->segment_count; i++) {
        if (object->segments[i].p_type == PT_DYNAMIC) {
            object->dynamic = at(object, object->segments[i].p_offset, sizeof *object->dynamic);
            object->dynamic_address = object->segments[i].p_vaddr;
        }
    }
    EXPECT(conform, object->dynamic != NULL, "%s: expected a dynamic section, found none",
           conform->request->path);
}

/* The last symbol is the one at the end of the chain of the highest bucket. */
static uint32_t count_gnu_hash(const struct bm_conform_object *object, uint64_t address) {
    const uint32_t *head = loaded_at(object, address, 4 * sizeof *head);
    if (head == NULL) {
        return 0;
    }
    uint32_t first = head[1];
    uint64_t buckets_at = address + 4 * sizeof *head + head[2] * sizeof(ElfW(Addr));
    const uint32_t *buckets = loaded_at(object, buckets_at, head[0] * sizeof *buckets);
    uint32_t last = 0;
    for (uint32_t i = 0; buckets != NULL && i < head[0]; i++) {
        last = buckets[i] > last ? buckets[i] : last;
    }
    if (last < first) {
        return first;
    }
    uint64_t chain_at = buckets_at + head[0] * sizeof *buckets;
    for (;; last++) {
        const uint32_t *link =
            loaded_at(object, chain_at + (uint64_t)(last - first) * sizeof *link, sizeof *link);
        if (link == NULL || (*link & 1) != 0) {
            return last + 1;
        }
    }
}

static uint32_t count_symbols(const struct bm_conform_object *object) {
    uint64_t hash = bm_conform_object_tag(object, DT_HASH);
    const uint32_t *head = hash != 0 ? loaded_at(object, hash, 2 * sizeof *head) : NULL;
    return head != NULL ? head[1]
                        : count_gnu_hash(object, bm_conform_object_tag(object, DT_GNU_HASH));
}

void bm_conform_object_open(struct bm_conform *conform, struct bm_conform_object *object) {
    memset(object, 0, sizeof *object);
    map_file(conform, object);
    find_segments(conform, object);
    uint32_t count = count_symbols(object);
    uint64_t versions = bm_conform_object_tag(object, DT_VERSYM);
    object->symbol_count = count;
    object->symbols = loaded_at(object, bm_conform_object_tag(object, DT_SYMTAB),
                                count * sizeof *object->symbols);
    object->names_size = bm_conform_object_tag(object, DT_STRSZ);
    object->names = loaded_at(object, bm_conform_object_tag(object, DT_STRTAB), object->names_size);
    object->versions =
        versions != 0 ? loaded_at(object, versions, count * sizeof *object->versions) : NULL;
    EXPECT(conform, count > 0 && object->symbols != NULL && object->names != NULL,
           "%s: expected a table of dynamic symbols, found none", conform->request->path);
}

void bm_conform_object_close(struct bm_conform_object *object) {
    union {
        const unsigned char *given;
        void *mapped;
    } bytes = {object->bytes};

    (void)munmap(bytes.mapped, object->length);
    memset(object, 0, sizeof *object);
}

uint64_t bm_conform_object_tag(const struct bm_conform_object *object, int64_t tag) {
    for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == tag) {
            return entry->d_un.d_val;
        }
    }
    return 0;
}

static const char *name_at(const struct bm_conform_object *object, uint64_t offset) {
    return offset < object->names_size ? object->names + offset : "";
}

const char *bm_conform_object_name(const struct bm_conform_object *object,
                                   const ElfW(Sym) * symbol) {
    return name_at(object, symbol->st_name);
}

/* The version with this number, of those that the file wants of one library. */
static const char *find_version(const struct bm_conform_object *object,
                                uint64_t address,
                                uint32_t count,
                                uint32_t number) {
    for (uint32_t i = 0; i < count; i++) {
        const ElfW(Vernaux) *wanted = loaded_at(object, address, sizeof *wanted);
        if (wanted == NULL) {
            return NULL;
        }
        if (wanted->vna_other == number) {
            return name_at(object, wanted->vna_name);
        }
        address += wanted->vna_next;
    }
    return NULL;
}

const char *bm_conform_object_version(const struct bm_conform_object *object, uint32_t index) {
    uint32_t number = object->versions != NULL ? object->versions[index] & 0x7fffu : 0;
    uint64_t count = bm_conform_object_tag(object, DT_VERNEEDNUM);
    uint64_t address = bm_conform_object_tag(object, DT_VERNEED);
    const char *found = NULL;
    for (uint64_t i = 0; i < count && number > 1 && found == NULL; i++) {
        const ElfW(Verneed) *library = loaded_at(object, address, sizeof *library);
        if (library == NULL) {
            return NULL;
        }
        found = find_version(object, address + library->vn_aux, library->vn_cnt, number);
        address += library->vn_next;
    }
    return found;
}

const char *bm_conform_object_sanitizer(const struct bm_conform_object *object) {
    static const char *const prefixes[] = {"__asan_", "__tsan_", "__ubsan_", "__msan_",
                                           "__hwasan_"};
    for (uint32_t i = 1; i < object->symbol_count; i++) {
        const char *name = bm_conform_object_name(object, &object->symbols[i]);
        for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++) {
            if (object->symbols[i].st_shndx == SHN_UNDEF &&
                strncmp(name, prefixes[p], strlen(prefixes[p])) == 0) {
                return name;
            }
        }
    }
    return NULL;
}

/* ---- Names of functions ---- */

/* The section of that type, or NULL. */
static const ElfW(Shdr) *
    find_section(const struct bm_conform_object *object, uint32_t type, const ElfW(Shdr) * *all) {
    const ElfW(Ehdr) *header = at(object, 0, sizeof *header);
    *all = at(object, header->e_shoff, (uint64_t)header->e_shnum * sizeof **all);
    for (uint32_t i = 0; *all != NULL && i < header->e_shnum; i++) {
        if ((*all)[i].sh_type == type && (*all)[i].sh_link < header->e_shnum) {
            return &(*all)[i];
        }
    }
    return NULL;
}

void bm_conform_object_place(const struct bm_conform_object *object,
                             uint64_t address,
                             char *text,
                             size_t capacity) {
    const ElfW(Shdr) *sections = NULL;
    const ElfW(Shdr) *table = find_section(object, SHT_SYMTAB, &sections);
    text[0] = '\0';
    if (table == NULL) {
        return;
    }
    const ElfW(Shdr) *strings = &sections[table->sh_link];
    const char *names = at(object, strings->sh_offset, strings->sh_size);
    const ElfW(Sym) *symbols = at(object, table->sh_offset, table->sh_size);
    uint64_t count = symbols != NULL ? table->sh_size / sizeof *symbols : 0;
    for (uint64_t i = 0; i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        int is_function = (symbol->st_info & 0xf) == STT_FUNC && symbol->st_shndx != SHN_UNDEF;
        if (is_function && address >= symbol->st_value &&
            address - symbol->st_value < symbol->st_size && names != NULL &&
            symbol->st_name < strings->sh_size) {
            (void)snprintf(text, capacity, "%s+0x%llx", names + symbol->st_name,
                           (unsigned long long)(address - symbol->st_value));
            return;
        }
    }
}
