// Rows checked by hand on a vocabulary of letters.
#include "fixture.h"

#include "text/dataset.h"

static vkb_tokenizer *tok;

// [PAD] 0 [UNK] 1 [CLS] 2 [SEP] 3 [MASK] 4 a 5 b 6 ... h 12
#define LETTERS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\ng\nh\n"

static vkb_dataset *load(const char *file, vkb_dataset_params params, vkb_dataset **held_out)
{
    vkb_dataset *data = NULL;
    fixture_log[0] = 0;
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&file, 1), &params, &data, held_out), VKB_OK);
    if (!data) {
        printf("%s\n", vkb_error(ctx));
        exit(1);
    }
    return data;
}

// Rows as letters: "_" [PAD], "?" [UNK], "<" [CLS], ">" [SEP], "*" [MASK]; "|" between rows.
static const char *rows_of(const vkb_dataset *data)
{
    static char shown[4096];
    uint32_t ids[64];
    size_t used = 0;
    for (size_t row = 0; row < vkb_dataset_rows(data); row++) {
        uint32_t more[3][64], length = dataset_row_length(data);
        dataset_row got = {.ids = ids, .types = more[0], .positions = more[1], .segments = more[2]};
        CHECK_INT(dataset_read(data, row, &got), VKB_OK);
        uint32_t count = got.used;
        if (row)
            shown[used++] = '|';
        for (uint32_t i = 0; i < length; i++) {
            shown[used++] = "_?<>*abcdefgh"[ids[i]];
            CHECK_INT(ids[i] == 0, i >= count);
        }
    }
    shown[used] = 0;
    return shown;
}

#define ROWS(text, expected, tokens, ...)                                                          \
    do {                                                                                           \
        check_case = #text " " #__VA_ARGS__;                                                       \
        vkb_dataset *data =                                                                        \
            load(fixture_write("rows.txt", text), (vkb_dataset_params){__VA_ARGS__}, NULL);        \
        CHECK_STR(rows_of(data), expected);                                                        \
        CHECK_INT(vkb_dataset_tokens(data), tokens);                                               \
        vkb_dataset_destroy(&data);                                                                \
        CHECK(data == NULL);                                                                       \
    } while (0)

TEST(joins_lines_into_full_rows)
{
    ROWS("a b c\nd e\nf\n", "<abc>|<de><", 10, .max_seq_length = 5); // "f>" is the dropped tail
    ROWS("a b\n", "<ab>____", 4, .max_seq_length = 8);               // unless it is all there is
    ROWS("a b\r\nc d", "<ab><cd>", 8, .max_seq_length = 8);          // CRLF; no line end at the end
    ROWS("a\n\nb\n", "<a><><b>", 8, .max_seq_length = 8); // blank lines as run_mlm has them
    ROWS("a b c d e f g h\n", "<abcd|efgh>", 10, .max_seq_length = 5);
    ROWS("a [MASK] x\n", "<a*?>", 5, .max_seq_length = 5);
    ROWS("a b c\nd e\nf\n", "<abc>", 5, .max_seq_length = 5, .max_samples = 1);
}

TEST(makes_a_row_a_line)
{
    ROWS("a b c\n\n \t\nd\r\n", "<abc>_|<d>___", 8, .max_seq_length = 6, .rows = VKB_ROWS_LINES);
    ROWS("a b c d e\nf\n", "<abc>|<f>__", 8, .max_seq_length = 5, .rows = VKB_ROWS_LINES);
    ROWS("a\nb\nc\n", "<a>|<b>", 6, .max_seq_length = 3, .rows = VKB_ROWS_LINES, .max_samples = 2);
}

TEST(reads_several_files)
{
    const char *files[] = {fixture_write("1.txt", "a b"), fixture_write("2.txt", "c\n")};
    vkb_dataset *data = NULL;
    CHECK_INT(vkb_dataset_load(tok, SOURCE(files, 2), &(vkb_dataset_params){.max_seq_length = 7},
                               &data, NULL),
              VKB_OK);
    if (data)
        CHECK_STR(rows_of(data), "<ab><c>");
    vkb_dataset_destroy(&data);
}

TEST(has_the_documented_defaults)
{
    vkb_dataset *data = NULL, *held_out = (vkb_dataset *)1;
    const char *file = fixture_write("default.txt", "a\n");
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&file, 1), NULL, &data, &held_out), VKB_OK);
    CHECK_INT(dataset_row_length(data), 128);
    CHECK(held_out == NULL);
    vkb_dataset_destroy(&data);
}

TEST(reads_standard_input)
{
    const char *path = fixture_write("stdin.txt", "a b\n");
    if (!freopen(path, "r", stdin)) {
        CHECK(!"freopen");
        return;
    }
    vkb_dataset *data = load("-", (vkb_dataset_params){.max_seq_length = 4}, NULL);
    CHECK_STR(rows_of(data), "<ab>");
    vkb_dataset_destroy(&data);
    const char *file = "-";
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&file, 1), NULL, &data, NULL),
              VKB_BAD_FILE); // read already
    CHECK_HAS(vkb_error(ctx), "standard input");
}

TEST(holds_lines_out_evenly)
{
    vkb_dataset *held_out = NULL;
    const char *file = fixture_write("split.txt", "a\n\nb\nc\n\nd\ne\nf\ng\nh\n");
    vkb_dataset *data = load(
        file,
        (vkb_dataset_params){.max_seq_length = 3, .rows = VKB_ROWS_LINES, .validation_split = 0.25},
        &held_out);
    CHECK_STR(rows_of(data), "<a>|<b>|<c>|<e>|<f>|<g>");
    CHECK_STR(rows_of(held_out), "<d>|<h>");
    vkb_dataset_destroy(&data);
    vkb_dataset_destroy(&held_out);
    // Joined rows keep the lines apart as well; a blank line stays with the line before it.
    data =
        load(file, (vkb_dataset_params){.max_seq_length = 5, .validation_split = 0.5}, &held_out);
    CHECK_STR(rows_of(data), "<a><>|<c><>|<e><g");
    CHECK_STR(rows_of(held_out), "<b><d|><f><");
    vkb_dataset_destroy(&data);
    vkb_dataset_destroy(&held_out);
    // max_samples keeps fewer training rows and leaves the held-out rows alone.
    data = load(file,
                (vkb_dataset_params){.max_seq_length = 3,
                                     .rows = VKB_ROWS_LINES,
                                     .validation_split = 0.25,
                                     .max_samples = 1},
                &held_out);
    CHECK_STR(rows_of(data), "<a>");
    CHECK_STR(rows_of(held_out), "<d>|<h>");
    vkb_dataset_destroy(&data);
    vkb_dataset_destroy(&held_out);
}

TEST(warns_of_invalid_utf8_once)
{
    vkb_dataset *data = load(fixture_write("latin.txt", "a \xE9\nb \xFF\xFE c\n"),
                             (vkb_dataset_params){.max_seq_length = 7}, NULL);
    CHECK_STR(rows_of(data), "<a><bc>");
    CHECK_HAS(fixture_log, "latin.txt: 3 bytes are not UTF-8");
    CHECK(strchr(fixture_log, '\n') == strrchr(fixture_log, '\n'));
    vkb_dataset_destroy(&data);
}

TEST(measures_unigram_entropy)
{
    vkb_dataset *data = load(fixture_write("entropy.txt", "a a b [MASK] c\n"),
                             (vkb_dataset_params){.max_seq_length = 16}, NULL);
    // a 1/2, b 1/4, c 1/4
    CHECK_NEAR(vkb_dataset_unigram_entropy(data), 1.5 * log(2), 1e-12);
    vkb_dataset_destroy(&data);
    data = load(fixture_write("entropy.txt", "a a\n"), (vkb_dataset_params){0}, NULL);
    CHECK_NEAR(vkb_dataset_unigram_entropy(data), 0, 0);
    vkb_dataset_destroy(&data);
}

TEST(refuses_bad_input)
{
    vkb_dataset *data = NULL, *held_out = NULL;
    const char *text = fixture_write("text.txt", "a b\n");
    const char *const missing[] = {text, fixture_path("missing.txt")};
    const char *const blank[] = {fixture_write("empty.txt", ""),
                                 fixture_write("blank.txt", "\n \r\n")};
    CHECK_INT(vkb_dataset_load(tok, SOURCE(missing, 2), NULL, &data, NULL), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), missing[1]);
    for (size_t i = 0; i < 2; i++) {
        check_case = blank[i];
        CHECK_INT(vkb_dataset_load(tok, SOURCE(&blank[i], 1), NULL, &data, NULL), VKB_BAD_FILE);
        CHECK_HAS(vkb_error(ctx), blank[i]);
        const char *const both[] = {text, blank[i]}; // beside another it is only told of
        fixture_log[0] = 0;
        CHECK_INT(vkb_dataset_load(tok, SOURCE(both, 2), NULL, &data, NULL), VKB_OK);
        CHECK_HAS(fixture_log, "holds no text");
        vkb_dataset_destroy(&data);
    }
    CHECK_INT(vkb_dataset_load(tok, SOURCE(blank, 2), NULL, &data, NULL), VKB_BAD_FILE);
    static const struct {
        vkb_dataset_params params;
        const char *sentence;
    } bad[] = {
        {{.max_seq_length = 2}, "max_seq_length is 2"},
        {{.validation_split = 1}, "validation_split is 1"},
        {{.validation_split = -0.1}, "validation_split is -0.1"},
        {{.validation_split = NAN}, "validation_split is"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_case = bad[i].sentence;
        CHECK_INT(vkb_dataset_load(tok, SOURCE(&text, 1), &bad[i].params, &data, &held_out),
                  VKB_BAD_ARGUMENT);
        CHECK_HAS(vkb_error(ctx), bad[i].sentence);
    }
    check_case = "";
    vkb_dataset_params split = {.validation_split = 0.5};
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&text, 1), &split, &data, NULL), VKB_BAD_ARGUMENT);
    CHECK_INT(vkb_dataset_load(tok, SOURCE(NULL, 0), NULL, &data, NULL), VKB_BAD_ARGUMENT);
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&text, 1), &split, &data, &held_out), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "no held-out row");
    CHECK(data == NULL && held_out == NULL);
}

static void shuffle(uint32_t rows, uint64_t seed, uint64_t epoch, uint32_t *order)
{
    for (uint32_t i = 0; i < rows; i++)
        order[i] = (uint32_t)dataset_shuffled(rows, seed, epoch, i);
}

TEST(shuffles_by_seed_and_epoch)
{
    enum { ROWS = 1000 };
    static uint32_t a[ROWS], b[ROWS];
    static bool seen[ROWS];
    shuffle(ROWS, 7, 0, a);
    shuffle(ROWS, 7, 0, b);
    CHECK(memcmp(a, b, sizeof(a)) == 0);
    for (int i = 0; i < ROWS; i++) {
        CHECK(a[i] < ROWS && !seen[a[i]]);
        seen[a[i]] = true;
    }
    shuffle(ROWS, 7, 1, b);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    shuffle(ROWS, 8, 0, b);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    shuffle(1, 7, 0, a);
    CHECK_INT(a[0], 0);
    shuffle(0, 7, 0, a);

    // Each of 3 rows at each place: 3000 draws, expected 1000, within 4 sigma (26).
    int counts[3][3] = {0};
    for (uint32_t epoch = 0; epoch < 3000; epoch++) {
        shuffle(3, 1, epoch, a);
        for (int i = 0; i < 3; i++)
            counts[i][a[i]]++;
    }
    for (int i = 0; i < 9; i++)
        CHECK_NEAR(counts[i / 3][i % 3], 1000, 4 * 26);
}

int main(void)
{
    fixture_start();
    tok = fixture_tokenizer(LETTERS, "{\"do_lower_case\": true}");
    RUN(joins_lines_into_full_rows);
    RUN(makes_a_row_a_line);
    RUN(reads_several_files);
    RUN(has_the_documented_defaults);
    RUN(reads_standard_input);
    RUN(holds_lines_out_evenly);
    RUN(warns_of_invalid_utf8_once);
    RUN(measures_unigram_entropy);
    RUN(refuses_bad_input);
    RUN(shuffles_by_seed_and_epoch);
    vkb_tokenizer_destroy(&tok);
    fixture_end();
    return check_report();
}
