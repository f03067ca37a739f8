# Reads plugin.h after the preprocessor and writes a C program that prints offset, size and declaration of every field
# of every struct bm_*, and fails where bytes lie between two fields: padding, or a field that this script did not see.

# The name a member declares: "uint32_t size" -> size, "char text[512]" -> text, "int (*wait)(...)" -> wait.
function member(declaration) {
    if (match(declaration, /\(\*[a-z_0-9]+\)/)) {
        return substr(declaration, RSTART + 2, RLENGTH - 3)
    }
    sub(/\[.*/, "", declaration)
    sub(/^.*[ *]/, "", declaration)
    return declaration
}

function print_struct(name, body,    count, parts, i) {
    printf "    struct_begin(\"%s\", sizeof(struct %s));\n", name, name
    count = split(body, parts, /;/)
    for (i = 1; i < count; i++) {
        gsub(/^ +| +$/, "", parts[i])
        printf "    field(\"%s\",\n          offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n", \
            parts[i], name, member(parts[i]), name, member(parts[i])
    }
    print "    struct_end();"
}

/^#/ { next }
{ text = text " " $0 }

END {
    print "#include <batchmark/plugin.h>\n#include <stddef.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
    print "static const char *current;\nstatic size_t end, total;\n"
    print "static void struct_begin(const char *name, size_t size) {"
    print "    current = name;\n    end = 0;\n    total = size;"
    print "    printf(\"%s %zu\\n\", name, size);\n}\n"
    print "static void expect_end(const char *before, size_t offset) {"
    print "    if (offset != end) {"
    print "        fprintf(stderr, \"%s: bytes %zu to %zu before %s belong to no field\\n\", current, end, offset,"
    print "                before);\n        exit(1);\n    }\n}\n"
    print "static void field(const char *declaration, size_t offset, size_t size) {"
    print "    expect_end(declaration, offset);\n    end = offset + size;"
    print "    printf(\"    %zu %zu %s\\n\", offset, size, declaration);\n}\n"
    print "static void struct_end(void) {\n    expect_end(\"the end\", total);\n}\n"
    print "int main(void) {"
    gsub(/[ \t]+/, " ", text)
    while (match(text, /struct bm_[a-z_0-9]+ \{[^}]*\}/)) {
        definition = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        name = definition
        sub(/^struct /, "", name)
        sub(/ .*/, "", name)
        sub(/^[^{]*\{/, "", definition)
        sub(/\}$/, "", definition)
        print_struct(name, definition)
    }
    print "    return 0;\n}"
}
