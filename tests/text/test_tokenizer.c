// Encoding, decoding and special tokens on vocabularies small enough to check by eye.
#include "fixture.h"

#define GOLDEN                                                                                     \
    "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nwant\n##want\n##ed\nwa\nun\nrunn\n##ing\n,"               \
    "\nlow\nlowest\n"
#define UNCASED "{\"do_lower_case\": true}"
#define CASED "{\"do_lower_case\": false}"

TEST(encodes_the_golden_vectors)
{
    vkb_tokenizer *tok = fixture_tokenizer(GOLDEN, UNCASED);
    CHECK_STR(ids_of(tok,
                     "UNwant\xC3\xA9"
                     "d,running",
                     NULL, false),
              "9 6 7 12 10 11");
    CHECK_STR(pieces_of(tok, "want\xE5\x8D\x9A\xE6\x8E\xA8want"), "want [UNK] [UNK] want");
    CHECK_STR(ids_of(tok, "", NULL, false), "");
    CHECK_STR(ids_of(tok, "", NULL, true), "1 2");
    CHECK_STR(ids_of(tok, "want", "low, low", true), "1 5 2 13 12 13 2");
    vkb_tokenizer_destroy(&tok);
    CHECK(tok == NULL);
    vkb_tokenizer_destroy(&tok);
}

TEST(looks_special_tokens_up)
{
    vkb_tokenizer *tok = fixture_tokenizer(GOLDEN, UNCASED);
    vkb_special_ids s = vkb_tokenizer_special(tok);
    CHECK_INT(s.unk, 0);
    CHECK_INT(s.cls, 1);
    CHECK_INT(s.sep, 2);
    CHECK_INT(s.pad, 3);
    CHECK_INT(s.mask, 4);
    CHECK_INT(vkb_tokenizer_size(tok), 15);
    CHECK_STR(vkb_tokenizer_piece(tok, 14), "lowest");
    CHECK(vkb_tokenizer_piece(tok, 15) == NULL);
    CHECK(vkb_tokenizer_piece(tok, UINT32_MAX) == NULL);
    uint32_t id = 99;
    CHECK(vkb_tokenizer_find(tok, "##ing", &id));
    CHECK_INT(id, 11);
    CHECK(!vkb_tokenizer_find(tok, "ing", &id));
    CHECK(!vkb_tokenizer_find(tok, "", &id));
    CHECK_INT(id, 11);
    vkb_tokenizer_destroy(&tok);
}

TEST(takes_the_longest_piece_or_none)
{
    vkb_tokenizer *tok =
        fixture_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nab\nabcd\n##c\n##d\n##"
                          "cd\n#\ning\n",
                          UNCASED);
    CHECK_STR(pieces_of(tok, "abcd"), "abcd");
    CHECK_STR(pieces_of(tok, "abc"), "ab ##c");
    CHECK_STR(pieces_of(tok, "acdc"), "a ##cd ##c");
    CHECK_STR(pieces_of(tok, "abx a"), "[UNK] a"); // one place without a piece: the whole word
    CHECK_STR(pieces_of(tok, "cd"), "[UNK]");      // "##cd" does not start a word
    CHECK_STR(pieces_of(tok, "##ing"), "# # ing"); // punctuation first
    vkb_tokenizer_destroy(&tok);
}

TEST(limits_words_to_100_code_points)
{
    vkb_tokenizer *tok =
        fixture_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\xC3\xB8\n##\xC3\xB8\n", CASED);
    char text[2 * 101];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "\xC3\xB8"[i % 2];
    vkb_tokens tokens = {0};
    CHECK_INT(vkb_encode(tok, text, 200, NULL, 0, &(vkb_encode_params){.no_special_tokens = true},
                         &tokens),
              VKB_OK);
    CHECK_INT(tokens.count, 100);
    CHECK_INT(vkb_encode(tok, text, 202, NULL, 0, &(vkb_encode_params){.no_special_tokens = true},
                         &tokens),
              VKB_OK);
    CHECK_INT(tokens.count, 1);
    CHECK_INT(tokens.at[0].id, 1);
    CHECK_INT(tokens.at[0].end, 202);
    vkb_tokens_free(&tokens);
    vkb_tokenizer_destroy(&tok);
}

TEST(gives_types_and_places)
{
    vkb_tokenizer *tok = fixture_tokenizer(GOLDEN, UNCASED);
    vkb_tokens tokens = {0};
    CHECK_INT(vkb_encode(tok,
                         " UNwant\xC3\xA9"
                         "d [MASK]",
                         17, "low", 3, NULL, &tokens),
              VKB_OK);
    const uint32_t none = UINT32_MAX;
    const vkb_token expected[] = {
        {1, 0, 0, 0, none, true}, {9, 0, 1, 3, 0, false},   {6, 0, 3, 7, 0, false},
        {7, 0, 7, 10, 0, false},  {4, 0, 11, 17, 1, false}, {2, 0, 0, 0, none, true},
        {13, 1, 0, 3, 0, false},  {2, 1, 0, 0, none, true},
    };
    CHECK_INT(tokens.count, 8);
    for (size_t i = 0; i < 8 && i < tokens.count; i++) {
        CHECK_INT(tokens.at[i].id, expected[i].id);
        CHECK_INT(tokens.at[i].type, expected[i].type);
        CHECK_INT(tokens.at[i].begin, expected[i].begin);
        CHECK_INT(tokens.at[i].end, expected[i].end);
        CHECK_INT(tokens.at[i].word, expected[i].word);
        CHECK_INT(tokens.at[i].special, expected[i].special);
        CHECK(!tokens.at[i].padding);
    }
    vkb_tokens_free(&tokens);
    vkb_tokens_free(&tokens);
    vkb_tokenizer_destroy(&tok);
}

TEST(matches_special_tokens_in_raw_text)
{
    vkb_tokenizer *tok = fixture_tokenizer(GOLDEN, UNCASED);
    CHECK_STR(pieces_of(tok, "low[MASK]low"), "low [MASK] low"); // no boundary is needed
    CHECK_STR(pieces_of(tok, "[mask]"), "[UNK] [UNK] [UNK]");    // case counts
    CHECK_STR(pieces_of(tok, "[MASK][SEP]"), "[MASK] [SEP]");
    CHECK_STR(pieces_of(tok, "[[MASK]"), "[UNK] [MASK]");
    CHECK_STR(pieces_of(tok, "[MASK"), "[UNK] [UNK]");
    vkb_tokenizer_destroy(&tok);
}

// A tokenizer.json of two words and these tokens.
static void write_added_json(void)
{
    static const struct {
        const char *content;
        bool special, single_word, lstrip, rstrip, normalized;
    } added[] = {
        {"[PAD]", .special = true},     {"[UNK]", .special = true},
        {"[CLS]", .special = true},     {"[SEP]", .special = true},
        {"[MASK]", .special = true},    {"Foo", .normalized = true},
        {"FooBar", .normalized = true}, {"Raw"},
        {"one", .single_word = true},   {"<l>", .lstrip = true},
        {"<r>", .rstrip = true},
    };
    static const char *const word[] = {"false", "true"};
    FILE *file = fopen(fixture_path("tokenizer.json"), "w");
    if (!file)
        exit(1);
    fprintf(file, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n"
                  " \"added_tokens\": [");
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
        fprintf(file,
                "%s{\"id\": %zu, \"content\": \"%s\", \"special\": %s, \"single_word\": %s,\n"
                "  \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s}",
                i ? "," : "", i < 5 ? i : i + 2, added[i].content, word[added[i].special],
                word[added[i].single_word], word[added[i].lstrip], word[added[i].rstrip],
                word[added[i].normalized]);
    fprintf(file,
            "],\n"
            " \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true,\n"
            "  \"handle_chinese_chars\": true, \"strip_accents\": null, \"lowercase\": true},\n"
            " \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n"
            " \"post_processor\": {\"type\": \"BertProcessing\",\n"
            "  \"sep\": [\"[SEP]\", 3], \"cls\": [\"[CLS]\", 2]},\n"
            " \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},\n"
            " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\",\n"
            "  \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 100,\n"
            "  \"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3,\n"
            "   \"[MASK]\": 4, \"a\": 5, \"x\": 6}}}\n");
    if (fclose(file) != 0)
        exit(1);
}

TEST(matches_added_tokens)
{
    vkb_tokenizer *tok = NULL;
    write_added_json();
    CHECK_INT(vkb_tokenizer_load(ctx, fixture_folder, &tok), VKB_OK);
    if (!tok) {
        CHECK_STR(vkb_error(ctx), "");
        return;
    }
    CHECK_STR(pieces_of(tok, "a FOOa"), "a Foo a"); // normalised on both sides
    CHECK_STR(pieces_of(tok, "f\xC3\xB6\xC3\xB6"
                             "bar x"),
              "FooBar x");                             // the longest, accents stripped
    CHECK_STR(pieces_of(tok, "Raw raw"), "Raw [UNK]"); // this one is not
    CHECK_STR(pieces_of(tok, "one,aone one"), "one [UNK] [UNK] one"); // between boundaries only
    CHECK_STR(pieces_of(tok, "onea"), "[UNK]");

    vkb_tokens tokens = {0};
    CHECK_INT(vkb_encode(tok, "a  <l> x <r> \ta", 16, NULL, 0,
                         &(vkb_encode_params){.no_special_tokens = true}, &tokens),
              VKB_OK);
    CHECK_INT(tokens.count, 5);
    if (tokens.count == 5) {
        CHECK_INT(tokens.at[1].begin, 1); // with the blanks it swallowed
        CHECK_INT(tokens.at[1].end, 6);
        CHECK_INT(tokens.at[3].begin, 9);
        CHECK_INT(tokens.at[3].end, 14);
    }
    CHECK_INT(vkb_encode(tok, "a \xC3\x89 F\xC3\xB6o!", 10, NULL, 0,
                         &(vkb_encode_params){.no_special_tokens = true}, &tokens),
              VKB_OK);
    CHECK_INT(tokens.count, 4);
    if (tokens.count == 4) {
        CHECK_INT(tokens.at[2].id, 7);
        CHECK_INT(tokens.at[2].begin, 5);
        CHECK_INT(tokens.at[2].end, 9);
    }
    vkb_tokens_free(&tokens);
    vkb_tokenizer_destroy(&tok);
    unlink(fixture_path("tokenizer.json"));
}

TEST(honours_the_switches)
{
    static const char words[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ne\nE\n\xC3\xA9\n\xC3\x89\n";
    static const struct {
        const char *config, *expected;
    } cases[] = {
        {"{\"do_lower_case\":true}", "e"},
        {"{\"do_lower_case\":true,\"strip_accents\":null}", "e"},
        {"{\"do_lower_case\":true,\"strip_accents\":false}", "\xC3\xA9"},
        {"{\"do_lower_case\":false}", "\xC3\x89"},
        {"{\"do_lower_case\":false,\"strip_accents\":true}", "E"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        vkb_tokenizer *tok = fixture_tokenizer(words, cases[i].config);
        check_case = cases[i].config;
        CHECK_STR(pieces_of(tok, "\xC3\x89"), cases[i].expected);
        vkb_tokenizer_destroy(&tok);
    }
}

TEST(lets_the_last_of_equal_pieces_win)
{
    vkb_tokenizer *tok =
        fixture_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\na\n", UNCASED);
    CHECK_INT(vkb_tokenizer_size(tok), 8);
    CHECK_STR(ids_of(tok, "a b", NULL, false), "7 6");
    CHECK_STR(vkb_tokenizer_piece(tok, 5), "a");
    vkb_tokenizer_destroy(&tok);
}

static const char *decoded(const vkb_tokenizer *tok, const char *text, bool skip_special)
{
    static char shown[4096];
    vkb_tokens tokens = {0};
    uint32_t ids[256];
    char *back = NULL;
    CHECK_INT(vkb_encode(tok, text, strlen(text), NULL, 0, NULL, &tokens), VKB_OK);
    for (size_t i = 0; i < tokens.count && i < 256; i++)
        ids[i] = tokens.at[i].id;
    CHECK_INT(vkb_decode(tok, ids, tokens.count, skip_special, &back), VKB_OK);
    snprintf(shown, sizeof(shown), "%s", back ? back : "(null)");
    free(back);
    vkb_tokens_free(&tokens);
    return shown;
}

TEST(decodes_as_transformers)
{
    vkb_tokenizer *tok = fixture_tokenizer(
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ni\nt\n##t\ndon\nm\n'\n.\n,\n!\n?\ns\nve\nl\neure\n-\n",
        UNCASED);
    CHECK_STR(decoded(tok, "it, don't! i.", true), "it, don't! i.");
    CHECK_STR(decoded(tok, "i'm l'eure ?", true), "i'm l'eure?");
    CHECK_STR(decoded(tok, "' don '", true), "' don '"); // the first has no blank before it
    CHECK_STR(decoded(tok, "i-t [MASK]", true), "i - t");
    CHECK_STR(decoded(tok, "i-t [MASK] x", false), "[CLS] i - t [MASK] [UNK] [SEP]");
    char *text = NULL;
    CHECK_INT(vkb_decode(tok, (uint32_t[]){7, 7, 99, 5}, 4, false, &text), VKB_OK);
    CHECK_STR(text, "##tt i"); // the first piece as it stands; unknown ids are left out
    free(text);
    CHECK_INT(vkb_decode(tok, NULL, 0, false, &text), VKB_OK);
    CHECK_STR(text, "");
    free(text);
    vkb_tokenizer_destroy(&tok);
}

TEST(decodes_without_clean_up_when_the_folder_says_so)
{
    vkb_tokenizer *tok =
        fixture_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ni\nt\n##t\ndon\nm\n'\n.\n",
                          "{\"do_lower_case\": true, \"clean_up_tokenization_spaces\": false}");
    // What the decoder takes from before a single piece stays taken.
    CHECK_STR(decoded(tok, "i'm don't.", true), "i ' m don ' t.");
    vkb_tokenizer_destroy(&tok);
}

TEST(refuses_bad_folders)
{
    static const char *const lacking[] = {"[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"};
    for (size_t i = 0; i < 5; i++) {
        char vocabulary[256] = "a\n";
        for (size_t k = 0; k < 5; k++)
            if (k != i)
                snprintf(vocabulary + strlen(vocabulary), 64, "%s\n", lacking[k]);
        fixture_write("vocab.txt", vocabulary);
        fixture_write("tokenizer_config.json", UNCASED);
        vkb_tokenizer *tok = NULL;
        check_case = lacking[i];
        CHECK_INT(vkb_tokenizer_load(ctx, fixture_folder, &tok), VKB_BAD_FILE);
        CHECK(tok == NULL);
        CHECK_HAS(vkb_error(ctx), lacking[i]);
        CHECK_HAS(vkb_error(ctx), fixture_folder);
    }
    vkb_tokenizer *tok = NULL;
    CHECK_INT(vkb_tokenizer_load(ctx, fixture_path("nowhere"), &tok), VKB_BAD_FILE);
    CHECK(tok == NULL);
    CHECK_HAS(vkb_error(ctx), "nowhere");
}

TEST(saves_what_it_loaded)
{
    vkb_tokenizer *tok = fixture_tokenizer(GOLDEN, UNCASED), *again = NULL;
    CHECK_INT(vkb_tokenizer_save(tok, fixture_path("saved/here")), VKB_OK);
    CHECK_INT(vkb_tokenizer_load(ctx, fixture_path("saved/here"), &again), VKB_OK);
    CHECK(again != NULL);
    if (again) {
        CHECK_INT(vkb_tokenizer_size(again), 15);
        CHECK_STR(ids_of(again, "UNwanted [MASK]", "low", true), "1 9 6 7 4 2 13 2");
    }
    fixture_write("file", "x");
    CHECK_INT(vkb_tokenizer_save(tok, fixture_path("file/below")), VKB_IO);
    CHECK_HAS(vkb_error(ctx), "file/below");
    vkb_tokenizer_destroy(&again);
    vkb_tokenizer_destroy(&tok);
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = calloc(1, 1 << 20);
    if (text)
        text[fread(text, 1, (1 << 20) - 1, file)] = 0;
    fclose(file);
    return text;
}

TEST(agrees_with_the_public_cases)
{
    const char *data = getenv("VKBERT_DATA");
    if (!data)
        SKIP("VKBERT_DATA names no folder with tokenizer_tests and vocab");
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char path[1024];
    vkb_tokenizer *tok = NULL;
    snprintf(path, sizeof(path), "%s/vocab/bert-base-uncased", data);
    CHECK_INT(vkb_tokenizer_load(ctx, path, &tok), VKB_OK);
    snprintf(path, sizeof(path), "%s/tokenizer_tests/ggml-vocab-bert-bge.gguf.inp", data);
    char *input = read_all(path);
    snprintf(path, sizeof(path), "%s/tokenizer_tests/ggml-vocab-bert-bge.gguf.out", data);
    char *output = read_all(path);
    CHECK(tok && input && output);
    size_t cases = 0;
    char *at = input, *expected = output;
    while (tok && at && expected) {
        char *end = strstr(at, separator), *line_end = strchr(expected, '\n');
        if (!end || !line_end)
            break;
        *end = *line_end = 0;
        check_case = at;
        CHECK_STR(ids_of(tok, at, NULL, false), expected + strspn(expected, " "));
        at = end + sizeof(separator) - 1;
        expected = line_end + 1;
        cases++;
    }
    check_case = "";
    CHECK(cases > 40);
    free(input);
    free(output);
    vkb_tokenizer_destroy(&tok);
}

int main(void)
{
    fixture_start();
    RUN(encodes_the_golden_vectors);
    RUN(looks_special_tokens_up);
    RUN(takes_the_longest_piece_or_none);
    RUN(limits_words_to_100_code_points);
    RUN(gives_types_and_places);
    RUN(matches_special_tokens_in_raw_text);
    RUN(matches_added_tokens);
    RUN(honours_the_switches);
    RUN(lets_the_last_of_equal_pieces_win);
    RUN(decodes_as_transformers);
    RUN(decodes_without_clean_up_when_the_folder_says_so);
    RUN(refuses_bad_folders);
    RUN(saves_what_it_loaded);
    RUN(agrees_with_the_public_cases);
    fixture_end();
    return check_report();
}
