#include "code_hash.h"

#include "error.h"

#include <elf.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No plugin is larger; what claims to be is not read into memory. */
#define FILE_BYTES_MAX ((off_t)1 << 30)

struct object {
    const char *path;
    const unsigned char *bytes;
    uint64_t size;
    Elf64_Ehdr header;
    SHA2_CTX hash;
    struct bm_error *error;
};

/* ---- Reading ---- */

/* A copy of the whole file: one that is cut while it is read must not fault. */
static unsigned char *read_file(int fd, const char *path, uint64_t *size, struct bm_error *error) {
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        (void)bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
        return NULL;
    }
    if (!S_ISREG(facts.st_mode) || facts.st_size > FILE_BYTES_MAX) {
        (void)bm_fail(error, BM_STATUS_INVALID, "%s: expected a file of at most %lld bytes", path,
                      (long long)FILE_BYTES_MAX);
        return NULL;
    }
    unsigned char *bytes = malloc((size_t)facts.st_size + 1);
    ssize_t count = bytes == NULL ? -1 : 1;
    *size = 0;
    while (count > 0 && *size < (uint64_t)facts.st_size) {
        count = pread(fd, bytes + *size, (size_t)facts.st_size - *size, (off_t)*size);
        *size += count > 0 ? (uint64_t)count : 0;
    }
    if (count < 0) {
        (void)bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
        free(bytes);
        return NULL;
    }
    return bytes;
}

static int32_t
inside(const struct object *object, const char *what, uint64_t offset, uint64_t count) {
    if (offset > object->size || count > object->size - offset) {
        return bm_fail(object->error, BM_STATUS_INVALID,
                       "%s: %s: expected %llu bytes at %llu, found the end of the file at %llu",
                       object->path, what, (unsigned long long)count, (unsigned long long)offset,
                       (unsigned long long)object->size);
    }
    return BM_STATUS_OK;
}

static int32_t read_header(struct object *object) {
    static const unsigned char expected[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB};
    Elf64_Ehdr *header = &object->header;
    int32_t status = inside(object, "ELF header", 0, sizeof *header);
    if (status != BM_STATUS_OK) {
        return status;
    }
    memcpy(header, object->bytes, sizeof *header);
    if (memcmp(header->e_ident, expected, sizeof expected) != 0) {
        return bm_fail(object->error, BM_STATUS_INVALID,
                       "%s: expected an ELF file of 64 bits, little endian, found another kind",
                       object->path);
    }
    if (header->e_type != ET_DYN || header->e_machine != EM_X86_64) {
        return bm_fail(object->error, BM_STATUS_INVALID,
                       "%s: expected a shared object (type %d) for x86-64 (machine %d), found type "
                       "%u, machine %u",
                       object->path, ET_DYN, EM_X86_64, header->e_type, header->e_machine);
    }
    if (header->e_shnum == 0 || header->e_shentsize != sizeof(Elf64_Shdr) ||
        header->e_shstrndx >= header->e_shnum) {
        return bm_fail(object->error, BM_STATUS_INVALID,
                       "%s: expected section headers of %zu bytes and their names, found %u of %u "
                       "bytes, names in %u",
                       object->path, sizeof(Elf64_Shdr), header->e_shnum, header->e_shentsize,
                       header->e_shstrndx);
    }
    return inside(object, "section headers", header->e_shoff,
                  (uint64_t)header->e_shnum * sizeof(Elf64_Shdr));
}

static Elf64_Shdr section_at(const struct object *object, uint64_t index) {
    Elf64_Shdr section;
    memcpy(&section, object->bytes + object->header.e_shoff + index * sizeof section,
           sizeof section);
    return section;
}

/* The text at `offset` of a section of texts, whose number may be wrong as everything else. */
static int32_t
text_at(const struct object *object, uint64_t section_index, uint64_t offset, const char **text) {
    Elf64_Shdr section = {0};
    if (section_index < object->header.e_shnum) {
        section = section_at(object, section_index);
    }
    int32_t status = inside(object, "texts", section.sh_offset, section.sh_size);
    if (status == BM_STATUS_OK && (section.sh_type != SHT_STRTAB || offset >= section.sh_size ||
                                   memchr(object->bytes + section.sh_offset + offset, '\0',
                                          section.sh_size - offset) == NULL)) {
        status =
            bm_fail(object->error, BM_STATUS_INVALID,
                    "%s: expected a text at byte %llu of section %llu, found none", object->path,
                    (unsigned long long)offset, (unsigned long long)section_index);
    }
    if (status == BM_STATUS_OK) {
        *text = (const char *)object->bytes + section.sh_offset + offset;
    }
    return status;
}

/* ---- Hashing ---- */

static void add(struct object *object, const void *bytes, uint64_t count) {
    SHA256Update(&object->hash, bytes, (size_t)count);
}

/* With its end, so that "ab" "c" differs from "a" "bc". */
static void add_text(struct object *object, const char *text) {
    add(object, text, strlen(text) + 1);
}

static int32_t add_text_at(struct object *object, uint64_t section_index, uint64_t offset) {
    const char *text = "";
    int32_t status = text_at(object, section_index, offset, &text);
    if (status == BM_STATUS_OK) {
        add_text(object, text);
    }
    return status;
}

/* Names are offsets into texts that the run path shifts: the names themselves are hashed. */
static int32_t add_symbols(struct object *object, const Elf64_Shdr *section) {
    int32_t status = BM_STATUS_OK;
    for (uint64_t at = 0; status == BM_STATUS_OK && section->sh_size - at >= sizeof(Elf64_Sym);
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        memcpy(&symbol, object->bytes + section->sh_offset + at, sizeof symbol);
        status = add_text_at(object, section->sh_link, symbol.st_name);
        symbol.st_name = 0;
        add(object, &symbol, sizeof symbol);
    }
    return status;
}

/* The libraries that are loaded with it, and how it is bound; all else that .dynamic holds is the
 * place of a section, or the run path. */
static int32_t add_dynamic(struct object *object, const Elf64_Shdr *section) {
    int32_t status = BM_STATUS_OK;
    for (uint64_t at = 0; status == BM_STATUS_OK && section->sh_size - at >= sizeof(Elf64_Dyn);
         at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, object->bytes + section->sh_offset + at, sizeof entry);
        if (entry.d_tag == DT_NEEDED) {
            status = add_text_at(object, section->sh_link, entry.d_un.d_val);
        } else if (entry.d_tag == DT_FLAGS || entry.d_tag == DT_FLAGS_1) {
            add(object, &entry, sizeof entry);
        }
    }
    return status;
}

/* Entries of both kinds have the same size; the next one is 0 or at least as far, so that a lie
 * does not make a ring. */
_Static_assert(sizeof(Elf64_Verneed) == sizeof(Elf64_Vernaux), "one size");

static int32_t need_inside(const struct object *object, const Elf64_Shdr *section, uint64_t at) {
    if (at > section->sh_size || section->sh_size - at < sizeof(Elf64_Vernaux)) {
        return bm_fail(object->error, BM_STATUS_INVALID,
                       "%s: versions: expected an entry at byte %llu, found the end at %llu",
                       object->path, (unsigned long long)at, (unsigned long long)section->sh_size);
    }
    return BM_STATUS_OK;
}

/* The versions needed of one library, from byte `at` on. */
static int32_t add_versions(struct object *object, const Elf64_Shdr *section, uint64_t at) {
    Elf64_Vernaux version = {.vna_next = sizeof version};
    int32_t status = BM_STATUS_OK;
    for (; status == BM_STATUS_OK && version.vna_next >= sizeof version; at += version.vna_next) {
        status = need_inside(object, section, at);
        if (status == BM_STATUS_OK) {
            memcpy(&version, object->bytes + section->sh_offset + at, sizeof version);
            add(object, &version.vna_other, sizeof version.vna_other);
            status = add_text_at(object, section->sh_link, version.vna_name);
        }
    }
    return status;
}

/* Each symbol's number of a version leads here. */
static int32_t add_needs(struct object *object, const Elf64_Shdr *section) {
    Elf64_Verneed need = {.vn_next = sizeof need};
    int32_t status = BM_STATUS_OK;
    for (uint64_t at = 0; status == BM_STATUS_OK && need.vn_next >= sizeof need;
         at += need.vn_next) {
        status = need_inside(object, section, at);
        if (status == BM_STATUS_OK) {
            memcpy(&need, object->bytes + section->sh_offset + at, sizeof need);
            status = add_text_at(object, section->sh_link, need.vn_file);
            status = status ? status : add_versions(object, section, at + need.vn_aux);
        }
    }
    return status;
}

static int32_t add_content(struct object *object, const Elf64_Shdr *section) {
    switch (section->sh_type) {
    case SHT_NOBITS:
        return BM_STATUS_OK; /* zeros */
    case SHT_DYNSYM:
        return add_symbols(object, section);
    case SHT_DYNAMIC:
        return add_dynamic(object, section);
    case SHT_GNU_verneed:
        return add_needs(object, section);
    default:
        add(object, &section->sh_size, sizeof section->sh_size);
        add(object, object->bytes + section->sh_offset, section->sh_size);
        return BM_STATUS_OK;
    }
}

/* Texts are hashed where they are used; the tables of hashes say what the symbols say. */
static int32_t is_left_out(const Elf64_Shdr *section, const char *name) {
    return (section->sh_flags & SHF_ALLOC) == 0 || section->sh_type == SHT_STRTAB ||
           section->sh_type == SHT_HASH || section->sh_type == SHT_GNU_HASH ||
           strcmp(name, ".note.gnu.build-id") == 0;
}

static int32_t add_section(struct object *object, uint64_t index) {
    Elf64_Shdr section = section_at(object, index);
    const char *name = "";
    int32_t status = text_at(object, object->header.e_shstrndx, section.sh_name, &name);
    if (status != BM_STATUS_OK || is_left_out(&section, name)) {
        return status;
    }
    if (section.sh_type != SHT_NOBITS) {
        status = inside(object, name, section.sh_offset, section.sh_size);
    }
    if (status == BM_STATUS_OK) {
        add_text(object, name);
        add(object, &section.sh_type, sizeof section.sh_type);
        add(object, &section.sh_flags, sizeof section.sh_flags);
        add(object, &section.sh_addralign, sizeof section.sh_addralign);
        status = add_content(object, &section);
    }
    if (status == BM_STATUS_OK && section.sh_type == SHT_NOBITS) {
        add(object, &section.sh_size, sizeof section.sh_size);
    }
    return status;
}

static int32_t hash_object(struct object *object, char hex[65]) {
    uint64_t code_bytes = 0;
    int32_t status = read_header(object);
    SHA256Init(&object->hash);
    for (uint64_t i = 0; status == BM_STATUS_OK && i < object->header.e_shnum; i++) {
        Elf64_Shdr section = section_at(object, i);
        code_bytes += (section.sh_flags & SHF_EXECINSTR) != 0 ? section.sh_size : 0;
        status = i == 0 ? BM_STATUS_OK : add_section(object, i);
    }
    /* Two files without code would be equal. */
    if (status == BM_STATUS_OK && code_bytes == 0) {
        status = bm_fail(object->error, BM_STATUS_INVALID,
                         "%s: expected a section of instructions, found none", object->path);
    }
    if (status == BM_STATUS_OK) {
        (void)SHA256End(&object->hash, hex);
    }
    return status;
}

int32_t bm_code_hash_file(int fd, const char *path, char hex[65], struct bm_error *error) {
    struct object object = {.path = path, .error = error};
    unsigned char *bytes = read_file(fd, path, &object.size, error);
    if (bytes == NULL) {
        return BM_STATUS_INVALID;
    }
    object.bytes = bytes;
    int32_t status = hash_object(&object, hex);
    free(bytes);
    return status;
}
