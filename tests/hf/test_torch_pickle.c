// The restricted unpickler: what it builds, everything else that it refuses, and that no pickle costs
// more than its bytes.
#include "tests/check.h"
#include "tests/hf/torch_build.h"

#include "hf/pickle.h"

static vkb_context *ctx;

// Reads b, whose values live in p.
static vkb_status read_bytes(pickle *p, const blob *b, pickle_value *value)
{
    const uint8_t *next = NULL;
    pickle_init(p, ctx, "x.bin", b->at, b->count);
    return pickle_read(p, b->at, b->at + b->count, value, &next);
}

// Frees b, which is refused with a sentence that has `part`.
static void refuse(blob *b, const char *part)
{
    pickle p;
    pickle_value value;
    CHECK_INT(read_bytes(&p, b, &value), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "x.bin: ");
    CHECK_HAS(vkb_error(ctx), part);
    pickle_free(&p);
    blob_free(b);
}

#define REFUSE(literal, part)                                                                      \
    do {                                                                                           \
        blob b_ = {0};                                                                             \
        put(&b_, literal, sizeof(literal) - 1);                                                    \
        check_case = #literal;                                                                     \
        refuse(&b_, part);                                                                         \
        check_case = "";                                                                           \
    } while (0)

// ---- What it builds ----

// Reads a list of integers and compares it.
static void check_ints(const char *text, size_t count, const int64_t *expected, size_t ints)
{
    blob b = {0};
    pickle p;
    pickle_value list = {0};
    put(&b, text, count);
    CHECK_INT(read_bytes(&p, &b, &list), VKB_OK);
    CHECK_INT(list.kind, PICKLE_LIST);
    const pickle_items *items = pickle_items_of(&p, list);
    CHECK_INT(items->count, ints);
    for (size_t i = 0; i < ints && i < items->count; i++) {
        CHECK_INT(items->at[i].kind, PICKLE_INT);
        CHECK_INT(items->at[i].is.integer, expected[i]);
    }
    pickle_free(&p);
    blob_free(&b);
}

TEST(builds_integers)
{
    static const char text[] = "\x80\x02](K\xff"
                               "M\xff\xff"
                               "J\xff\xff\xff\xff"
                               "J\1\0\0\x7f\x8a\0\x8a\1\xff\x8a\2\0\x80\x8a\3\xff\xff\0"
                               "\x8a\x08\0\0\0\0\0\0\0\x80"
                               "e.";
    const int64_t expected[] = {255, 65535, -1, 0x7f000001, 0, -1, -32768, 65535, INT64_MIN};
    check_ints(text, sizeof(text) - 1, expected, 9);
}

TEST(keeps_and_finds_values)
{
    // 5 and 6 under 300 and 1, then both; in protocol 4 the memo counts by itself
    static const char old[] = "\x80\x02]K\5r\x2c\1\0\0aK\6q\1aj\x2c\1\0\0ah\1a.";
    static const char new[] = "\x80\4\x95\0\0\0\0\0\0\0\0]\x94K\5\x94"
                              "aK\6\x94"
                              "ah\1ah\2a.";
    const int64_t expected[] = {5, 6, 5, 6};
    check_ints(old, sizeof(old) - 1, expected, 4);
    check_ints(new, sizeof(new) - 1, expected, 4);
}

TEST(builds_texts_dicts_and_what_is_ignored)
{
    blob b = {0};
    pickle p;
    pickle_value dict = {0};
    build_start(&b);
    PUT(&b, "U\1aN\x8c\2bcG\0\0\0\0\0\0\0\0X\1\0\0\0d\x88X\1\0\0\0a\x8a\x09\0\0\0\0\0\0\0\0\1u");
    build_text(&b, "e");
    PUT(&b, "\x89s}b."); // e: False, then attributes, which are lost
    CHECK_INT(read_bytes(&p, &b, &dict), VKB_OK);
    CHECK_INT(dict.kind, PICKLE_DICT);
    const pickle_value *a = pickle_member(&p, dict, "a"), *bc = pickle_member(&p, dict, "bc"),
                       *d = pickle_member(&p, dict, "d"), *e = pickle_member(&p, dict, "e");
    CHECK(a && a->kind == PICKLE_NUMBER); // the later one
    CHECK(bc && bc->kind == PICKLE_NUMBER);
    CHECK(d && d->kind == PICKLE_BOOL && d->is.integer);
    CHECK(e && e->kind == PICKLE_BOOL && !e->is.integer);
    CHECK(!pickle_member(&p, dict, "b"));
    CHECK(a && !pickle_member(&p, *a, "a"));
    pickle_free(&p);
    blob_free(&b);
}

// As Python 2 writes an OrderedDict: of a list of pairs.
TEST(builds_an_ordered_dict_of_pairs)
{
    blob b = {0};
    pickle p;
    pickle_value dict = {0};
    PUT(&b, "\x80\2");
    build_global(&b, "collections", "OrderedDict");
    PUT(&b, "](](U\1aK\1e](U\1bK\2ee\x85R.");
    CHECK_INT(read_bytes(&p, &b, &dict), VKB_OK);
    const pickle_value *second = pickle_member(&p, dict, "b");
    CHECK(second && second->is.integer == 2);
    pickle_free(&p);
    blob_free(&b);
}

// A list that holds itself, a tuple of twice a tuple of twice ... 10,000 times: read in no time, as
// nothing walks through it.
TEST(nothing_that_holds_itself_is_walked_through)
{
    blob b = {0};
    pickle p;
    pickle_value value = {0};
    PUT(&b, "\x80\2]q\0h\0a.");
    CHECK_INT(read_bytes(&p, &b, &value), VKB_OK);
    pickle_free(&p);
    b.count = 0;
    PUT(&b, "\x80\2]q\0h\0");
    for (int i = 0; i < 10000; i++)
        PUT(&b, "\x86q\0h\0");
    PUT(&b, "\x86.");
    CHECK_INT(read_bytes(&p, &b, &value), VKB_OK);
    CHECK_INT(value.kind, PICKLE_TUPLE);
    pickle_free(&p);
    blob_free(&b);
}

// ---- What it refuses ----

TEST(refuses_every_other_opcode)
{
    static const uint8_t known[] = "}])(t\x85\x86\x87X\x8cUJKM\x8aGN\x88\x89qr\x94hjc\x93"
                                   "RbsuaeQ.\x80\x95";
    CHECK_INT(sizeof(known) - 1, 36);
    for (int code = 0; code < 256; code++) {
        const uint8_t opcode = (uint8_t)code;
        char part[80];
        blob b = {0};
        if (memchr(known, code, sizeof(known) - 1))
            continue;
        PUT(&b, "\x80\2N");
        put(&b, &opcode, 1);
        PUT(&b, "........"); // whatever follows
        snprintf(part, sizeof(part), "opcode 0x%02x at byte 3 is not one that weights need", code);
        refuse(&b, part);
    }
}

static void refuse_global(const char *module, const char *name, const char *part)
{
    blob old = {0}, new = {0};
    PUT(&old, "\x80\2");
    build_global(&old, module, name);
    PUT(&old, "U\2id\x85R.");
    refuse(&old, part);
    PUT(&new, "\x80\4");
    build_text(&new, module);
    build_text(&new, name);
    PUT(&new, "\x93U\2id\x85R.");
    refuse(&new, part);
}

TEST(refuses_every_other_global)
{
    refuse_global("posix", "system", "unsupported global posix.system at byte ");
    refuse_global("builtins", "eval", "unsupported global builtins.eval");
    refuse_global("os", "system", "could run code");
    refuse_global("torch", "ComplexFloatStorage", "torch.ComplexFloatStorage at byte ");
    refuse_global("torch", "QInt8Storage", "does not read numbers of this type");
    refuse_global("collections", "OrderedDict.fromkeys", "OrderedDict.fromkeys");
    refuse_global("collections.abc", "OrderedDict", "unsupported global");
    refuse_global("torch", "_utils._rebuild_tensor_v2", "unsupported global");
    refuse_global("torch.storage", "FloatStorage", "unsupported global");
    refuse_global("torch", "FloatStorage2", "unsupported global");
    refuse_global("torch", "FloatStorag", "unsupported global");
    refuse_global("", "", "unsupported global .");
    refuse_global("\x1b[2J", "\xff", "unsupported global ?[2J.? at"); // nothing for a terminal
}

TEST(refuses_what_the_machine_cannot_do)
{
    REFUSE("", "truncated");
    REFUSE("\x80", "opcode 0x80 at byte 0 is cut off");
    REFUSE("\x80\2", "truncated: a pickle ends at byte 2");
    REFUSE("\x80\2.", "other than one value");
    REFUSE("\x80\2(.", "other than one value");
    REFUSE("\x80\2NN.", "other than one value");
    REFUSE("\x80\2X\xff\xff\xff\xffhello", "opcode 0x58 at byte 2 is cut off");
    REFUSE("\x80\2\x8c\6hello", "is cut off");
    REFUSE("\x80\2U\6hello", "is cut off");
    REFUSE("\x80\2\x8a\xff\1", "is cut off");
    REFUSE("\x80\2J\1\1\1", "is cut off");
    REFUSE("\x80\2G\1\1\1", "is cut off");
    REFUSE("\x80\4\x95\1\1\1", "is cut off");
    REFUSE("\x80\2cposix", "is cut off");
    REFUSE("\x80\2cposix\nsystem", "is cut off");
    REFUSE("\x80\2\x85.", "finds too few values");
    REFUSE("\x80\2N\x86.", "finds too few values");
    REFUSE("\x80\2NN\x87.", "finds too few values");
    REFUSE("\x80\2N(\x86.", "finds too few values"); // a mark is no value
    REFUSE("\x80\2t.", "finds no mark");
    REFUSE("\x80\2Nt.", "finds no mark");
    REFUSE("\x80\2q\0.", "finds no value");
    REFUSE("\x80\2(q\0.", "finds no value");
    REFUSE("\x80\2(\x94.", "finds no value");
    REFUSE("\x80\2h\0.", "was not kept");
    REFUSE("\x80\2Nq\1h\0.", "was not kept");
    REFUSE("\x80\2j\xff\xff\xff\xff.", "was not kept");
    REFUSE("\x80\2U\1aK\1s.", "finds no dict and pairs");
    REFUSE("\x80\2]U\1aK\1s.", "finds no dict and pairs");
    REFUSE("\x80\2}U\1as.", "finds no dict and pairs");
    REFUSE("\x80\2}(U\1au.", "finds no dict and pairs");
    REFUSE("\x80\2}u.", "finds no dict and pairs");
    REFUSE("\x80\2(U\1aK\1u.", "finds no dict and pairs");
    REFUSE("\x80\2}(a.", "finds no list");
    REFUSE("\x80\2}Na.", "finds no list");
    REFUSE("\x80\2)(Ne.", "finds no list");
    REFUSE("\x80\2e.", "finds no list");
    REFUSE("\x80\2]}b.", "sets attributes");
    REFUSE("\x80\2}b.", "sets attributes");
    REFUSE("\x80\2b.", "sets attributes");
    REFUSE("\x80\2NN\x93.", "finds no two strings");
    REFUSE("\x80\2U\1a\x93.", "finds no two strings");
}

#define DICT "ccollections\nOrderedDict\n"
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n"
#define FLOATS                                                                                     \
    "(U\7storagectorch\nFloatStorage\nU\1"                                                         \
    "0U\3cpuK\4tQ"

TEST(refuses_calls_with_other_arguments)
{
    REFUSE("\x80\2R.", "finds no global");
    REFUSE("\x80\2N)R.", "finds no global");
    REFUSE("\x80\2" DICT "]R.", "finds no global");
    REFUSE("\x80\2" DICT "N\x85R.", "something else than pairs");
    REFUSE("\x80\2" DICT "]]\x86R.", "something else than pairs");
    REFUSE("\x80\2" DICT "N\x85\x85R.", "something else than pairs");
    REFUSE("\x80\2" DICT "N\x85\x85\x85R.", "something else than pairs");
    REFUSE("\x80\2"
           "ctorch\nSize\n)R.",
           "does not take");
    REFUSE("\x80\2"
           "ctorch\nSize\nN\x85R.",
           "does not take");
    REFUSE("\x80\2"
           "ctorch\nFloatStorage\n)R.",
           "does not take");
    REFUSE("\x80\2" TENSOR ")R.", "does not take");
    REFUSE("\x80\2" TENSOR "(NK\0)))\x89tR.", "does not take");          // no storage
    REFUSE("\x80\2" TENSOR "(" FLOATS "N))\x89NtR.", "does not take");   // no offset
    REFUSE("\x80\2" TENSOR "(" FLOATS "K\0N)\x89NtR.", "does not take"); // no sizes
    REFUSE("\x80\2" TENSOR "(" FLOATS "K\0)]\x89NtR.", "does not take"); // no strides
    REFUSE("\x80\2" TENSOR "(" FLOATS "K\0))\x89tR.", "does not take");  // no hooks
    REFUSE("\x80\2"
           "ctorch._utils\n_rebuild_parameter\n(N\x88NtR.",
           "does not take");
    REFUSE("\x80\2"
           "ctorch._utils\n_rebuild_parameter\n)R.",
           "does not take");
    REFUSE("\x80\2Q.", "finds no tuple");
    REFUSE("\x80\2NQ.", "finds no tuple");
    REFUSE("\x80\2)Q.", "finds no storage");
    REFUSE("\x80\2(U\7storageNU\1"
           "0NK\4tQ.",
           "finds no storage");
    REFUSE("\x80\2(U\7storage" DICT "U\1"
           "0NK\4tQ.",
           "finds no storage");
    REFUSE("\x80\2(U\6module"
           "ctorch\nFloatStorage\nU\1"
           "0NK\4tQ.",
           "finds no storage");
    REFUSE("\x80\2(U\7storagectorch\nFloatStorage\nK\0NK\4tQ.", "finds no storage");
    REFUSE("\x80\2(U\7storagectorch\nFloatStorage\nU\1"
           "0NJ\xff\xff\xff\xfftQ.",
           "finds no storage"); // -1 elements
    REFUSE("\x80\2(U\7storagectorch\nFloatStorage\nU\1"
           "0NK\4U\1vK\0K\2\x87tQ.",
           "has a view");
}

// Opcodes of few bytes that take much memory, until the file's size has been spent.
static void refuse_bomb(const char *start, size_t start_bytes, const char *again, size_t bytes_each)
{
    blob b = {0};
    put(&b, start, start_bytes);
    while (b.count < 1 << 20)
        put(&b, again, bytes_each);
    check_case = again;
    refuse(&b, "more memory than the file itself");
    check_case = "";
}

#define BOMB(start, again) refuse_bomb(start, sizeof(start) - 1, again, sizeof(again) - 1)

TEST(refuses_to_take_more_memory_than_the_file)
{
    BOMB("\x80\2", "N");
    BOMB("\x80\2", "(");
    BOMB("\x80\2", "]");
    BOMB("\x80\2", "(t");
    BOMB("\x80\2N", "\x85");
    BOMB("\x80\2N", "\x94");
    BOMB("\x80\2]", "Na");
    BOMB("\x80\2}", "NNs");
    BOMB("\x80\2(U\7storagectorch\nFloatStorage\nU\1"
         "0U\3cpuK\4tq\0]",
         "h\0Qa");
    BOMB("\x80\2" DICT "q\0](](NNe](NNe](NNee\x85q\1", "h\0h\1R"); // the same pairs again and again
    REFUSE("\x80\2Nr\xff\xff\xff\xff.", "more memory than the file itself");
    REFUSE("\x80\2Nr\xff\xff\xff\x7f.", "more memory than the file itself");
}

// ---- Cut anywhere ----

TEST(refuses_a_pickle_cut_anywhere)
{
    blob b = {0};
    pickle p;
    pickle_value value;
    build_start(&b);
    build_text(&b, "a");
    build_tensor(&b, "HalfStorage", "0", 6, 0, "\2\3", "\3\1");
    build_text(&b, "b");
    build_global(&b, "torch._utils", "_rebuild_parameter");
    PUT(&b, "(");
    build_tensor(&b, "LongStorage", "1", 1, 0, "", "");
    PUT(&b, "\x88NtR");
    build_stop(&b);
    CHECK_INT(read_bytes(&p, &b, &value), VKB_OK);
    CHECK_INT(p.storages.count, 2);
    CHECK(p.storages.count == 2 && p.storages.at[0].dtype == HF_F16 &&
          p.storages.at[1].dtype == HF_I64 && p.storages.at[0].count == 6 &&
          pickle_is_text(p.storages.at[1].key, "1"));
    const pickle_value *parameter = pickle_member(&p, value, "b");
    CHECK(parameter && parameter->kind == PICKLE_TENSOR);
    pickle_free(&p);
    const size_t whole = b.count;
    for (b.count = 0; b.count < whole; b.count++) {
        // A copy of exactly so many bytes: reading behind them is seen by the address sanitizer.
        blob cut = {malloc(b.count + !b.count), 0, b.count + !b.count};
        put(&cut, b.at, b.count);
        CHECK_INT(read_bytes(&p, &cut, &value), VKB_BAD_FILE);
        pickle_free(&p);
        blob_free(&cut);
    }
    blob_free(&b);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    RUN(builds_integers);
    RUN(keeps_and_finds_values);
    RUN(builds_texts_dicts_and_what_is_ignored);
    RUN(builds_an_ordered_dict_of_pairs);
    RUN(nothing_that_holds_itself_is_walked_through);
    RUN(refuses_every_other_opcode);
    RUN(refuses_every_other_global);
    RUN(refuses_what_the_machine_cannot_do);
    RUN(refuses_calls_with_other_arguments);
    RUN(refuses_to_take_more_memory_than_the_file);
    RUN(refuses_a_pickle_cut_anywhere);
    vkb_context_destroy(&ctx);
    return check_report();
}
