// Vocabulary training: properties that BertWordPieceTrainer's vocabularies have, and determinism.
#include "fixture.h"

static vkb_tokenizer *train(const char *file, vkb_vocab_params params)
{
    vkb_tokenizer *tok = NULL;
    fixture_log[0] = 0;
    CHECK_INT(vkb_tokenizer_train(ctx, SOURCE(&file, 1), &params, &tok), VKB_OK);
    if (!tok) {
        printf("%s\n", vkb_error(ctx));
        exit(1);
    }
    return tok;
}

// All pieces, blanks between them.
static const char *all_pieces(const vkb_tokenizer *tok)
{
    static char shown[1 << 20];
    size_t used = 0;
    for (uint32_t id = 0; id < vkb_tokenizer_size(tok); id++)
        used += (size_t)snprintf(shown + used, sizeof(shown) - used, "%s%s", id ? " " : "",
                                 vkb_tokenizer_piece(tok, id));
    return shown;
}

#define SPECIAL "[PAD] [UNK] [CLS] [SEP] [MASK]"

TEST(merges_the_most_frequent_pairs)
{
    // Words: low 5, lower 2, newest 6, widest 3. es 9, est 9 (of es+t), then lo 7, low 7, ...
    const char *file = fixture_write(
        "merge.txt", "low low low low low lower lower newest newest newest newest newest newest\n"
                     "widest widest widest\n");
    vkb_tokenizer *tok = train(file, (vkb_vocab_params){.vocab_size = 5 + 10 + 9 + 4});
    // The alphabet by code point, "##" letters as the sorted words first need them; the ties of
    // "##e ##s" and "##s ##t" (9), of "l ##o" and "##o ##w" (7) go to the smaller ids.
    CHECK_STR(all_pieces(tok), SPECIAL " d e i l n o r s t w"
                                       " ##o ##w ##e ##r ##s ##t ##i ##d"
                                       " ##es ##est lo low ne");
    vkb_tokenizer_destroy(&tok);
}

TEST(stops_at_min_frequency)
{
    const char *file = fixture_write("rare.txt", "ab ab ab cd cd\n");
    vkb_tokenizer *tok = train(file, (vkb_vocab_params){.min_frequency = 3});
    CHECK_STR(all_pieces(tok), SPECIAL " a b c d ##b ##d ab");
    vkb_tokenizer_destroy(&tok);
    tok = train(file, (vkb_vocab_params){0}); // 2
    CHECK_STR(all_pieces(tok), SPECIAL " a b c d ##b ##d ab cd");
    vkb_tokenizer_destroy(&tok);
}

TEST(merges_repeated_letters)
{
    // aaaa 2, aaa 1: "a ##a" 3 and "##a ##a" 2*2 + 1 = 5, which merges from the left.
    const char *file = fixture_write("repeat.txt", "aaaa aaaa aaa\n");
    vkb_tokenizer *tok = train(file, (vkb_vocab_params){0});
    CHECK_STR(all_pieces(tok), SPECIAL " a ##a ##aa aaa aaaa");
    vkb_tokenizer_destroy(&tok);
}

// As the Rust trainer, though encoding makes [UNK] of words beyond 100 characters.
TEST(counts_words_that_cannot_be_encoded)
{
    char text[256] = {0};
    memset(text, 'a', 101); // one code point too long
    text[101] = ' ';
    memset(text + 102, 'b', 100);
    vkb_tokenizer *tok = train(fixture_write("long.txt", text), (vkb_vocab_params){0});
    uint32_t id;
    CHECK(vkb_tokenizer_find(tok, "a", &id));
    CHECK(vkb_tokenizer_find(tok, "b", &id));
    vkb_tokenizer_destroy(&tok);
}

TEST(puts_special_tokens_and_unused_slots_first)
{
    static const char *const tokens[] = {"[UNK]", "[PAD]", "<x>", "[CLS]", "[SEP]", "[MASK]"};
    const char *file = fixture_write("special.txt", "ab ab\n");
    vkb_tokenizer *tok = train(file, (vkb_vocab_params){.vocab_size = 11,
                                                        .special_tokens = tokens,
                                                        .special_token_count = 6,
                                                        .unused = 2});
    CHECK_STR(all_pieces(tok), "[UNK] [PAD] <x> [CLS] [SEP] [MASK] [unused0] [unused1] a b ##b");
    CHECK_INT(vkb_tokenizer_special(tok).pad, 1);
    vkb_tokenizer_destroy(&tok);

    static const char *const twice[] = {"[UNK]", "[PAD]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"};
    const struct {
        const char *const *tokens;
        uint32_t count, vocab_size;
        const char *sentence;
    } bad[] = {
        {twice, 6, 100, "[PAD] stands twice"},
        {tokens, 5, 100, "lack [MASK]"},
        {tokens, 6, 6, "vocab_size is 6"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const vkb_vocab_params params = {.vocab_size = bad[i].vocab_size,
                                         .special_tokens = bad[i].tokens,
                                         .special_token_count = bad[i].count};
        CHECK_INT(vkb_tokenizer_train(ctx, SOURCE(&file, 1), &params, &tok), VKB_BAD_ARGUMENT);
        CHECK_HAS(vkb_error(ctx), bad[i].sentence);
    }
}

TEST(normalises_first)
{
    const char *file = fixture_write("case.txt", "\xC3\x89t\xC3\xA9 \xC3\xA9T\xC3\x89\r\n");
    vkb_tokenizer *tok = train(file, (vkb_vocab_params){0});
    CHECK_STR(all_pieces(tok), SPECIAL " e t ##t ##e et ete");
    CHECK_STR(pieces_of(tok, "\xC3\x89T\xC3\x89"), "ete");
    vkb_tokenizer_destroy(&tok);
    tok = train(file, (vkb_vocab_params){.cased = true});
    CHECK_STR(all_pieces(tok),
              SPECIAL " T t \xC3\x89 \xC3\xA9 ##t ##\xC3\xA9 ##T ##\xC3\x89"); // each pair once
    vkb_tokenizer_destroy(&tok);
}

TEST(limits_the_alphabet_and_says_so)
{
    const char *file = fixture_write("alphabet.txt", "aaaa bbb cc d\n");
    vkb_tokenizer *tok = train(file, (vkb_vocab_params){.limit_alphabet = 2, .min_frequency = 100});
    CHECK_STR(all_pieces(tok), SPECIAL " a b ##a ##b");
    CHECK_HAS(fixture_log, "limit_alphabet of 2 leaves 2 characters out");
    CHECK_HAS(fixture_log, "30%");
    CHECK_STR(pieces_of(tok, "ab c"), "a ##b [UNK]");
    vkb_tokenizer_destroy(&tok);
    tok = train(file, (vkb_vocab_params){0});
    CHECK_STR(fixture_log, "");
    vkb_tokenizer_destroy(&tok);
}

// Random words of a few syllables: many counts, many ties.
static const char *write_text(const char *name, bool backwards)
{
    static const char *const syllables[] = {"ka", "to", "mi", "ne", "ru", "sha", "lo", "\xC3\xB8n"};
    enum { LINES = 400 };
    char *lines[LINES];
    uint32_t state = 1;
    for (int i = 0; i < LINES; i++) {
        lines[i] = calloc(1, 512);
        for (int word = 0; word < 8; word++) {
            for (int s = 0; s < 1 + (int)(state >> 30); s++) {
                state = state * 1664525u + 1013904223u;
                strcat(lines[i], syllables[(state >> 16) % 8]);
            }
            state = state * 1664525u + 1013904223u;
            strcat(lines[i], " ");
        }
    }
    const char *path = fixture_path(name);
    FILE *file = fopen(path, "w");
    for (int i = 0; file && i < LINES; i++)
        fprintf(file, "%s\n", lines[backwards ? LINES - 1 - i : i]);
    if (!file || fclose(file) != 0)
        exit(1);
    for (int i = 0; i < LINES; i++)
        free(lines[i]);
    return path;
}

TEST(does_not_depend_on_the_order_of_lines)
{
    vkb_tokenizer *a =
        train(write_text("forward.txt", false), (vkb_vocab_params){.vocab_size = 200});
    vkb_tokenizer *b =
        train(write_text("backward.txt", true), (vkb_vocab_params){.vocab_size = 200});
    CHECK_INT(vkb_tokenizer_size(a), 200);
    CHECK_INT(vkb_tokenizer_size(b), 200);
    for (uint32_t id = 0; id < 200; id++)
        CHECK_STR(vkb_tokenizer_piece(a, id), vkb_tokenizer_piece(b, id));
    // Nothing in its own text is unknown, and what comes back is what went in.
    const char *line = "katomi shaloru \xC3\xB8n ne";
    char *back = NULL;
    vkb_tokens tokens = {0};
    uint32_t ids[64];
    CHECK_INT(vkb_encode(a, line, strlen(line), NULL, 0, NULL, &tokens), VKB_OK);
    for (size_t i = 0; i < tokens.count && i < 64; i++) {
        ids[i] = tokens.at[i].id;
        CHECK(ids[i] != vkb_tokenizer_special(a).unk);
    }
    CHECK_INT(vkb_decode(a, ids, tokens.count, true, &back), VKB_OK);
    CHECK_STR(back, line);
    free(back);
    vkb_tokens_free(&tokens);
    vkb_tokenizer_destroy(&a);
    vkb_tokenizer_destroy(&b);
}

TEST(saves_a_folder_that_loads)
{
    vkb_tokenizer *tok =
        train(write_text("save.txt", false), (vkb_vocab_params){.vocab_size = 100});
    vkb_tokenizer *again = NULL;
    CHECK_INT(vkb_tokenizer_save(tok, fixture_folder), VKB_OK);
    CHECK_INT(vkb_tokenizer_load(ctx, fixture_folder, &again), VKB_OK);
    if (again) {
        CHECK_INT(vkb_tokenizer_size(again), 100);
        CHECK_STR(ids_of(again, "kato", "[MASK] mi", true), ids_of(tok, "kato", "[MASK] mi", true));
    }
    vkb_tokenizer_destroy(&again);
    vkb_tokenizer_destroy(&tok);
}

TEST(refuses_bad_input)
{
    vkb_tokenizer *tok = NULL;
    const char *missing = fixture_path("missing.txt"), *empty = fixture_write("empty.txt", ""),
               *blank = fixture_write("blank.txt", " \n\t\r\n");
    const char *const files[] = {missing, empty, blank, fixture_folder};
    for (size_t i = 0; i < 4; i++) {
        check_case = files[i];
        CHECK_INT(vkb_tokenizer_train(ctx, SOURCE(&files[i], 1), NULL, &tok), VKB_BAD_FILE);
        CHECK_HAS(vkb_error(ctx), files[i]);
    }
    CHECK_INT(vkb_tokenizer_train(ctx, SOURCE(NULL, 0), NULL, &tok), VKB_BAD_ARGUMENT);
    const char *text = fixture_write("text.txt", "a b\n");
    CHECK_INT(
        vkb_tokenizer_train(ctx, SOURCE(&text, 1), &(vkb_vocab_params){.vocab_size = 5}, &tok),
        VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "vocab_size is 5");
    CHECK(tok == NULL);
}

int main(void)
{
    fixture_start();
    RUN(merges_the_most_frequent_pairs);
    RUN(stops_at_min_frequency);
    RUN(merges_repeated_letters);
    RUN(counts_words_that_cannot_be_encoded);
    RUN(puts_special_tokens_and_unused_slots_first);
    RUN(normalises_first);
    RUN(limits_the_alphabet_and_says_so);
    RUN(does_not_depend_on_the_order_of_lines);
    RUN(saves_a_folder_that_loads);
    RUN(refuses_bad_input);
    fixture_end();
    return check_report();
}
