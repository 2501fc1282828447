// shaders/kernels.def against the compiled SPIR-V: bindings, access letters, push constants, entry
// point; and every shader has a line. The few words of SPIR-V that this needs are read here.
#include "check.h"

#include "base/context.h"
#include "shaders/params.h"
#include "kernels_spirv.h"

#include <dirent.h>
#include <stdlib.h>

typedef struct kernel {
    const char *name, *access;
    size_t push_bytes;
    const uint32_t *code;
    size_t words;
} kernel;

static const kernel kernels[] = {
#define KERNEL(name, access, push)                                                                 \
    {#name, access, sizeof(struct push), spirv_##name, sizeof(spirv_##name) / 4},
#include "shaders/kernels.def"
#undef KERNEL
};

// ---- SPIR-V ----

enum { // opcodes, decorations, storage classes of the SPIR-V specification, sections 3.42, 3.20, 3.7
    ENTRY_POINT = 15,
    TYPE_INT = 21,
    TYPE_FLOAT = 22,
    TYPE_STRUCT = 30,
    TYPE_POINTER = 32,
    VARIABLE = 59,
    DECORATE = 71,
    MEMBER_DECORATE = 72,
    NON_WRITABLE = 24,
    NON_READABLE = 25,
    BINDING = 33,
    DESCRIPTOR_SET = 34,
    OFFSET = 35,
    UNIFORM = 2,
    PUSH_CONSTANT = 9,
    STORAGE_BUFFER = 12,
    GL_COMPUTE = 5,
    ANY = -1
};

// Calls visit for each instruction with that opcode: operands at word[1] ... word[count - 1].
typedef void (*visit_fn)(const uint32_t *word, uint32_t count, void *user);

static bool each(const kernel *k, uint32_t opcode, visit_fn visit, void *user)
{
    if (k->words < 5 || k->code[0] != 0x07230203u)
        return false;
    for (size_t at = 5; at < k->words;) {
        uint32_t count = k->code[at] >> 16;
        if (count == 0 || at + count > k->words)
            return false;
        if ((k->code[at] & 0xFFFF) == opcode)
            visit(k->code + at, count, user);
        at += count;
    }
    return true;
}

// The value of a decoration of an id, or of a member of it (ANY: some member); -1: it has none. A
// decoration without operand has the value 0.
typedef struct decoration {
    uint32_t id, kind;
    int member;
    long value;
} decoration;

static void find_decoration(const uint32_t *word, uint32_t count, void *user)
{
    decoration *d = user;
    if (word[1] == d->id && word[2] == d->kind)
        d->value = count > 3 ? (long)word[3] : 0;
}

static void find_member_decoration(const uint32_t *word, uint32_t count, void *user)
{
    decoration *d = user;
    if (word[1] == d->id && word[3] == d->kind && (d->member == ANY || (int)word[2] == d->member))
        d->value = count > 4 ? (long)word[4] : 0;
}

static long decorated(const kernel *k, uint32_t id, uint32_t kind)
{
    decoration d = {id, kind, ANY, -1};
    each(k, DECORATE, find_decoration, &d);
    return d.value;
}

static long member_decorated(const kernel *k, uint32_t id, int member, uint32_t kind)
{
    decoration d = {id, kind, member, -1};
    each(k, MEMBER_DECORATE, find_member_decoration, &d);
    return d.value;
}

// The instruction that defines a type.
typedef struct definition {
    uint32_t id;
    const uint32_t *word;
    uint32_t count;
} definition;

static void find_definition(const uint32_t *word, uint32_t count, void *user)
{
    definition *d = user;
    if (word[1] == d->id)
        *d = (definition){d->id, word, count};
}

static definition define(const kernel *k, uint32_t opcode, uint32_t id)
{
    definition d = {.id = id};
    each(k, opcode, find_definition, &d);
    return d;
}

// Bytes of a type made of scalars and structs; 0: something else is in it.
static size_t type_bytes(const kernel *k, uint32_t id)
{
    definition scalar = define(k, TYPE_INT, id);
    if (!scalar.word)
        scalar = define(k, TYPE_FLOAT, id);
    if (scalar.word)
        return scalar.word[2] / 8;
    definition type = define(k, TYPE_STRUCT, id);
    size_t bytes = 0;
    for (uint32_t i = 2; i < type.count; i++) {
        size_t member = type_bytes(k, type.word[i]);
        long offset = member_decorated(k, id, (int)i - 2, OFFSET);
        if (member == 0 || offset < 0)
            return 0;
        bytes = (size_t)offset + member > bytes ? (size_t)offset + member : bytes;
    }
    return bytes;
}

// ---- What a shader declares ----

enum { MOST = 16 };

typedef struct shader {
    const kernel *k;
    // A binding may be declared twice, as floats and as vec4s: read-only when all say so.
    int declared[MOST];
    bool writable[MOST], readable[MOST];
    size_t push_bytes;
    bool compute_main, strange; // strange: a binding outside set 0 or beyond MOST
} shader;

static void see_entry(const uint32_t *word, uint32_t count, void *user)
{
    shader *s = user;
    (void)count;
    s->compute_main = word[1] == GL_COMPUTE && strcmp((const char *)&word[3], "main") == 0;
}

static void see_variable(const uint32_t *word, uint32_t count, void *user)
{
    shader *s = user;
    uint32_t id = word[2], class = word[3];
    (void)count;
    if (class != UNIFORM && class != PUSH_CONSTANT && class != STORAGE_BUFFER)
        return;
    definition pointer = define(s->k, TYPE_POINTER, word[1]);
    uint32_t block = pointer.word[3];
    if (class == PUSH_CONSTANT) {
        s->push_bytes = type_bytes(s->k, block);
        return;
    }
    long binding = decorated(s->k, id, BINDING), set = decorated(s->k, id, DESCRIPTOR_SET);
    if (class == UNIFORM || set != 0 || binding < 0 || binding >= MOST) {
        s->strange = true;
        return;
    }
    s->declared[binding]++;
    s->writable[binding] |= decorated(s->k, id, NON_WRITABLE) < 0 &&
                            member_decorated(s->k, block, ANY, NON_WRITABLE) < 0;
    s->readable[binding] |= decorated(s->k, id, NON_READABLE) < 0 &&
                            member_decorated(s->k, block, ANY, NON_READABLE) < 0;
}

static void check_kernel(const kernel *k)
{
    shader s = {.k = k};
    size_t bindings = strlen(k->access);
    check_case = k->name;
    CHECK(each(k, ENTRY_POINT, see_entry, &s));
    CHECK(each(k, VARIABLE, see_variable, &s));
    CHECK(s.compute_main);
    CHECK(!s.strange);
    CHECK_INT(s.push_bytes, k->push_bytes);
    for (size_t i = 0; i < MOST; i++)
        if ((s.declared[i] > 0) != (i < bindings))
            CHECK_FAILED("binding %zu: the shader %s it, kernels.def has %zu", i,
                         s.declared[i] ? "declares" : "does not declare", bindings);
    for (size_t i = 0; i < bindings && i < MOST; i++) {
        char letter = !s.writable[i] ? 'r' : !s.readable[i] ? 'w' : 'm';
        if (s.declared[i] && letter != k->access[i])
            CHECK_FAILED("binding %zu: the shader declares '%c' (readonly, writeonly or neither), "
                         "kernels.def has '%c'",
                         i, letter, k->access[i]);
    }
}

TEST(kernels_agree_with_their_shaders)
{
    for (size_t i = 0; i < BASE_COUNT(kernels); i++)
        check_kernel(&kernels[i]);
}

TEST(every_shader_has_a_line)
{
    DIR *folder = opendir(SHADER_FOLDER);
    CHECK(folder != NULL);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char name[256];
        snprintf(name, sizeof(name), "%s", entry->d_name);
        char *dot = strrchr(name, '.');
        if (!dot || strcmp(dot, ".comp") != 0)
            continue;
        *dot = 0;
        bool found = false;
        for (size_t i = 0; i < BASE_COUNT(kernels); i++)
            found |= strcmp(kernels[i].name, name) == 0;
        if (!found)
            CHECK_FAILED("shaders/%s.comp has no line in kernels.def", name);
    }
    if (folder)
        closedir(folder);
}

// The checks above can fail: a table that is wrong in each way is found out.
TEST(a_wrong_table_is_noticed)
{
    kernel wrong[4];
    int noticed = 0;
    for (size_t i = 0; i < BASE_COUNT(wrong); i++)
        for (size_t j = 0; j < BASE_COUNT(kernels); j++)
            if (strcmp(kernels[j].name, "add") == 0)
                wrong[i] = kernels[j];
    wrong[0].access = "rw";
    wrong[1].access = "rmr";
    wrong[2].push_bytes += 4;
    wrong[3].words = 8; // cut inside its second instruction
    printf("four failures are expected now:\n");
    for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
        check_failures_of_test = 0;
        check_kernel(&wrong[i]);
        noticed += check_failures_of_test > 0;
    }
    check_failures_of_test = 0;
    CHECK_INT(noticed, 4);
}

int main(void)
{
    RUN(kernels_agree_with_their_shaders);
    RUN(every_shader_has_a_line);
    RUN(a_wrong_table_is_noticed);
    return check_report();
}
