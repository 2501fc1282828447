// The tokenizer's files: what each may say, which wins, what is refused, and the way back.
#include "tests/check.h"
#include "tests/temp.h"

#include "hf/tokenizer_files.h"

static vkb_context *ctx;
static char *folder;
static char last_warning[512];

static void keep_warning(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    if (level == VKB_LOG_WARNING)
        snprintf(last_warning, sizeof(last_warning), "%s", sentence);
}

#define VOCAB_LINES "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwant\n##ing\n"
#define NORMALIZER                                                                                 \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"                             \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":false},"
#define PRE "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
#define MODEL(vocab)                                                                               \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","                                   \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":90,\"vocab\":{" vocab "}}"
#define VOCAB "\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"want\":5,\"##ing\":7"
#define JSON(added, post) "{\"version\":\"1.0\"," added NORMALIZER PRE post MODEL(VOCAB) "}"

static vkb_status read_files(const char *json, const char *vocab, const char *config,
                             hf_tokenizer *tok)
{
    temp_empty(folder);
    last_warning[0] = 0;
    *tok = (hf_tokenizer){0};
    if (json)
        temp_write_text(folder, "tokenizer.json", json);
    if (vocab)
        temp_write_text(folder, "vocab.txt", vocab);
    if (config)
        temp_write_text(folder, "tokenizer_config.json", config);
    vkb_status status = hf_tokenizer_read(ctx, folder, tok);
    if (status != VKB_OK)
        CHECK(!tok->pieces && !tok->added && !tok->unk_token);
    return status;
}

static void refuse(const char *json, const char *vocab, const char *config, const char *part)
{
    hf_tokenizer tok;
    check_case = part;
    CHECK_INT(read_files(json, vocab, config, &tok), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), folder);
    CHECK_HAS(vkb_error(ctx), part);
    hf_tokenizer_free(&tok);
    check_case = "";
}

// ---- vocab.txt ----

TEST(reads_a_vocabulary_of_lines)
{
    hf_tokenizer tok;
    CHECK_INT(read_files(NULL, VOCAB_LINES "\nwant\r\n\xe5\x8d\x9a", NULL, &tok), VKB_OK);
    CHECK_INT(tok.piece_count, 10);
    CHECK_STR(tok.pieces[4], "[MASK]");
    CHECK_STR(tok.pieces[7], ""); // a blank line takes an id
    CHECK_STR(tok.pieces[8], "want");
    CHECK_STR(tok.pieces[9], "\xe5\x8d\x9a"); // the last line needs no end
    CHECK(tok.lowercase && tok.clean_text && tok.handle_chinese_chars);
    CHECK_INT(tok.strip_accents, -1);
    CHECK_INT(tok.max_input_chars_per_word, 100);
    CHECK_INT(tok.model_max_length, 0);
    CHECK_STR(tok.mask_token, "[MASK]");
    CHECK_INT(tok.added_count, 5);
    CHECK_STR(tok.added[4].content, "[MASK]");
    CHECK_INT(tok.added[4].id, 4);
    CHECK(tok.added[4].special && !tok.added[4].normalized && !tok.added[4].lstrip);
    CHECK_HAS(last_warning, "taken as uncased");
    hf_tokenizer_free(&tok);

    CHECK_INT(read_files(NULL, VOCAB_LINES "Want\n", NULL, &tok), VKB_OK);
    CHECK(!tok.lowercase);
    CHECK_HAS(last_warning, "taken as cased");
    hf_tokenizer_free(&tok);
}

TEST(reads_the_config_beside_the_lines)
{
    hf_tokenizer tok;
    CHECK_INT(read_files(NULL, VOCAB_LINES "<m>\n",
                         "{\"do_lower_case\":false,\"strip_accents\":true,"
                         "\"tokenize_chinese_chars\":false,\"model_max_length\":512,"
                         "\"mask_token\":{\"content\":\"<m>\",\"lstrip\":true},"
                         "\"added_tokens_decoder\":{\"7\":{\"content\":\"<m>\",\"lstrip\":true,"
                         "\"special\":true},\"9\":{\"content\":\"new\",\"normalized\":true}}}",
                         &tok),
              VKB_OK);
    CHECK(!tok.lowercase && !tok.handle_chinese_chars);
    CHECK_INT(tok.strip_accents, 1);
    CHECK_INT(tok.model_max_length, 512);
    CHECK_STR(tok.mask_token, "<m>");
    CHECK_INT(tok.piece_count, 10);
    CHECK(!tok.pieces[8]); // a gap
    CHECK_STR(tok.pieces[9], "new");
    CHECK_INT(tok.added_count, 6);
    CHECK_STR(tok.added[4].content, "<m>");
    CHECK(tok.added[4].lstrip && tok.added[4].special && !tok.added[4].normalized);
    CHECK(tok.added[5].normalized && !tok.added[5].special);
    CHECK_STR(last_warning, "");
    hf_tokenizer_free(&tok);

    // "Unset", as transformers writes it; names from the map when the config has none.
    temp_write_text(folder, "tokenizer_config.json",
                    "{\"do_lower_case\":true,"
                    "\"model_max_length\":1000000000000000019884624838656}");
    temp_write_text(folder, "special_tokens_map.json", "{\"pad_token\":\"want\"}");
    CHECK_INT(hf_tokenizer_read(ctx, folder, &tok), VKB_OK);
    CHECK_INT(tok.model_max_length, 0);
    CHECK_STR(tok.pad_token, "want");
    hf_tokenizer_free(&tok);
}

TEST(refuses_a_bad_vocabulary)
{
    hf_tokenizer tok;
    CHECK_INT(hf_tokenizer_read(ctx, temp_path(folder, "absent"), &tok), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "absent: there is no such folder");
    refuse(NULL, NULL, NULL, "has neither tokenizer.json nor vocab.txt");
    refuse(NULL, "", NULL, "vocab.txt: is empty");
    refuse(NULL, "[PAD]\n[UNK]\n\xff\n", NULL, "vocab.txt: line 3 is not UTF-8");
    refuse(NULL, "[UNK]\n[CLS]\n[SEP]\n[MASK]\n", NULL, "vocab.txt: the vocabulary has no [PAD]");
    refuse(NULL, "[PAD]\n[CLS]\n[SEP]\n[MASK]\n", NULL, "has no [UNK]");
    refuse(NULL, "[PAD]\n[UNK]\n[SEP]\n[MASK]\n", NULL, "has no [CLS]");
    refuse(NULL, "[PAD]\n[UNK]\n[CLS]\n[MASK]\n", NULL, "has no [SEP]");
    refuse(NULL, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[mask]\n", NULL, "has no [MASK]");
    refuse(NULL, VOCAB_LINES, "{\"mask_token\":\"<mask>\"}", "has no <mask>");
    refuse(NULL, VOCAB_LINES, "{\"do_lower_case\":\"yes\"}", "do_lower_case is \"yes\"");
    refuse(NULL, VOCAB_LINES, "{\"model_max_length\":\"512\"}", "model_max_length is \"512\"");
    refuse(NULL, VOCAB_LINES, "{\"model_max_length\":-1}", "model_max_length is -1");
    refuse(NULL, VOCAB_LINES, "{", "tokenizer_config.json: is not JSON");
    refuse(NULL, VOCAB_LINES, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}", "\"x\"");
    refuse(NULL, VOCAB_LINES, "{\"added_tokens_decoder\":{\"5\":{\"content\":\"y\"}}}",
           "tokens want and y both have id 5");
    refuse(NULL, VOCAB_LINES, "{\"added_tokens_decoder\":{\"7\":{}}}", "content of an added");
    refuse(NULL, VOCAB_LINES, "{\"added_tokens_decoder\":[1]}", "not the id of a token");
    refuse(NULL, VOCAB_LINES, "{\"added_tokens_decoder\":{\"7\":{\"content\":\"want\"}}}x",
           "not JSON");
}

// ---- tokenizer.json ----

TEST(reads_tokenizer_json)
{
    hf_tokenizer tok;
    CHECK_INT(read_files(JSON("\"truncation\":{\"max_length\":128},\"added_tokens\":[{\"id\":4,"
                              "\"content\":\"[MASK]\",\"single_word\":false,\"lstrip\":true,"
                              "\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":8,"
                              "\"content\":\"\\ud83d\\ude00\",\"single_word\":true}],",
                              "\"post_processor\":{\"type\":\"BertProcessing\","
                              "\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"),
                         "ignored", NULL, &tok),
              VKB_OK);
    CHECK_INT(tok.piece_count, 9);
    CHECK(!tok.pieces[6]);
    CHECK_STR(tok.pieces[7], "##ing");
    CHECK_STR(tok.pieces[8], "\xf0\x9f\x98\x80");
    CHECK(!tok.lowercase);
    CHECK_INT(tok.max_input_chars_per_word, 90);
    CHECK_INT(tok.added_count, 6);
    CHECK_STR(tok.added[0].content, "[PAD]"); // not listed there, matched all the same
    CHECK(tok.added[4].lstrip && tok.added[4].special);
    CHECK(tok.added[5].single_word && !tok.added[5].special && tok.added[5].normalized);
    CHECK_STR(last_warning, "");
    hf_tokenizer_free(&tok);

    CHECK_INT(read_files(JSON("", ""), NULL, NULL, &tok), VKB_OK);
    CHECK_HAS(last_warning, "has no post_processor");
    hf_tokenizer_free(&tok);
}

TEST(follows_the_config_over_the_normalizer)
{
    hf_tokenizer tok;
    CHECK_INT(
        read_files(JSON("", ""), NULL, "{\"do_lower_case\":true,\"strip_accents\":false}", &tok),
        VKB_OK);
    CHECK(tok.lowercase);
    CHECK_INT(tok.strip_accents, 0);
    CHECK_HAS(last_warning, "disagree");
    hf_tokenizer_free(&tok);

    CHECK_INT(read_files(JSON("", ""), NULL,
                         "{\"do_lower_case\":true,\"tokenizer_class\":\"PreTrainedTokenizerFast\"}",
                         &tok),
              VKB_OK);
    CHECK(!tok.lowercase);
    hf_tokenizer_free(&tok);
}

TEST(refuses_other_tokenizers_by_name)
{
    refuse("{}", NULL, NULL, "tokenizer.json: version is missing");
    refuse("{\"version\":\"2.0\"}", NULL, NULL, "version is \"2.0\"");
    refuse("{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\"}}", NULL, NULL, "model is BPE");
    refuse("{\"version\":\"1.0\"}", NULL, NULL, "model is missing");
    refuse("{\"version\":\"1.0\",\"model\":{}}", NULL, NULL, "model is of no type");
    refuse("{\"version\":\"1.0\"," MODEL(VOCAB) "}", NULL, NULL, "normalizer is missing");
    refuse("{\"version\":\"1.0\",\"normalizer\":{\"type\":\"NFC\"}," MODEL(VOCAB) "}", NULL, NULL,
           "normalizer is NFC");
    refuse("{\"version\":\"1.0\"," NORMALIZER MODEL(VOCAB) "}", NULL, NULL,
           "pre_tokenizer is missing");
    refuse("{\"version\":\"1.0\"," NORMALIZER
           "\"pre_tokenizer\":{\"type\":\"Whitespace\"}," MODEL(VOCAB) "}",
           NULL, NULL, "pre_tokenizer is Whitespace");
    refuse("{\"version\":\"1.0\",\"model\":{\"type\":\"WordPiece\","
           "\"continuing_subword_prefix\":\"@@\"}}",
           NULL, NULL, "continuing_subword_prefix is \"@@\"");
    refuse(JSON("", "\"post_processor\":{\"type\":\"RobertaProcessing\"},"), NULL, NULL,
           "RobertaProcessing");
    refuse(JSON("", "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],"
                    "\"cls\":[\"<s>\",2]},"),
           NULL, NULL, "post_processor is not BERT's");
    refuse(JSON("", "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],"
                    "\"pair\":[]},"),
           NULL, NULL, "post_processor is not BERT's");
}

// Before the tokenizer's own fault: the folder's config says whose it is.
TEST(says_when_the_folder_is_another_model_s)
{
    static const struct {
        const char *config, *part;
    } cases[] = {
        {"{\"model_type\":\"roberta\"}", "config.json: model_type is roberta, expected bert"},
        {"{\"model_type\":\"bert\"}", "tokenizer.json: model is BPE"},
        {"{\"model_type\":", "tokenizer.json: model is BPE"},
        {"{\"vocab_size\":-1}", "tokenizer.json: model is BPE"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        hf_tokenizer tok;
        temp_empty(folder);
        temp_write_text(folder, "config.json", cases[i].config);
        temp_write_text(folder, "tokenizer.json",
                        "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\"}}");
        CHECK_INT(hf_tokenizer_read(ctx, folder, &tok), VKB_BAD_FILE);
        CHECK_HAS(vkb_error(ctx), cases[i].part);
    }
}

TEST(refuses_bad_ids)
{
    refuse("{\"version\":\"1.0\"," MODEL("\"a\":-1") "}", NULL, NULL, "id of token a");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\":0.5") "}", NULL, NULL, "id of token a");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\":\"0\"") "}", NULL, NULL, "id of token a");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\":4294967295") "}", NULL, NULL, "has id 4294967295");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\":0,\"b\":0") "}", NULL, NULL,
           "tokens a and b both have id 0");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\":0,\"a\":1") "}", NULL, NULL,
           "\"a\" is there twice");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\\u0000\":0") "}", NULL, NULL, "escaped NUL");
    refuse("{\"version\":\"1.0\"," MODEL("\"a\\ud800\":0") "}", NULL, NULL, "not JSON");
    refuse("{\"version\":\"1.0\",\"model\":{\"type\":\"WordPiece\",\"vocab\":[]}}", NULL, NULL,
           "model.vocab");
    refuse(JSON("\"added_tokens\":[{\"content\":\"x\"}],", ""), NULL, NULL, "id of an added token");
    refuse(JSON("\"added_tokens\":[{\"id\":5,\"content\":\"x\"}],", ""), NULL, NULL,
           "tokens want and x both have id 5");
    refuse(JSON("\"added_tokens\":[{\"id\":9,\"content\":\"want\"}],", ""), NULL, NULL,
           "added token want has id 9, but 5 in the vocabulary");
    refuse(JSON("\"added_tokens\":[{\"id\":8,\"content\":\"x\"},"
                "{\"id\":9,\"content\":\"x\"}],",
                ""),
           NULL, NULL, "added token x has two ids, 8 and 9");
    refuse(JSON("\"added_tokens\":[7],", ""), NULL, NULL, "id of an added token");
    refuse(JSON("\"added_tokens\":{},", ""), NULL, NULL, "added_tokens is {}");
}

// ---- Writing ----

static void check_same(const hf_tokenizer *a, const hf_tokenizer *b)
{
    CHECK_INT(a->piece_count, b->piece_count);
    for (uint32_t id = 0; id < a->piece_count && id < b->piece_count; id++)
        if (a->pieces[id] && b->pieces[id])
            CHECK_STR(a->pieces[id], b->pieces[id]);
        else
            CHECK(!a->pieces[id] == !b->pieces[id]);
    CHECK_INT(a->added_count, b->added_count);
    for (size_t i = 0; i < a->added_count && i < b->added_count; i++) {
        const hf_added_token *x = &a->added[i], *y = &b->added[i];
        CHECK_STR(x->content, y->content);
        CHECK(x->id == y->id && x->special == y->special && x->single_word == y->single_word &&
              x->lstrip == y->lstrip && x->rstrip == y->rstrip && x->normalized == y->normalized);
    }
    CHECK(a->lowercase == b->lowercase && a->clean_text == b->clean_text &&
          a->handle_chinese_chars == b->handle_chinese_chars &&
          a->strip_accents == b->strip_accents &&
          a->max_input_chars_per_word == b->max_input_chars_per_word &&
          a->model_max_length == b->model_max_length);
    CHECK_STR(a->unk_token, b->unk_token);
    CHECK_STR(a->cls_token, b->cls_token);
    CHECK_STR(a->sep_token, b->sep_token);
    CHECK_STR(a->pad_token, b->pad_token);
    CHECK_STR(a->mask_token, b->mask_token);
}

TEST(reads_back_what_it_wrote)
{
    hf_tokenizer tok, again;
    CHECK_INT(read_files(JSON("\"added_tokens\":[{\"id\":8,\"content\":\"<\\\"\\u00e4\\t>\","
                              "\"single_word\":true,\"rstrip\":true,\"normalized\":false},"
                              "{\"id\":9,\"content\":\"<s>\",\"special\":true}],",
                              ""),
                         NULL, "{\"strip_accents\":true,\"model_max_length\":64}", &tok),
              VKB_OK);
    temp_empty(folder);
    CHECK_INT(hf_tokenizer_write(ctx, folder, &tok), VKB_OK);
    char *map = temp_read(folder, "special_tokens_map.json", NULL);
    CHECK_HAS(map, "\"additional_special_tokens\":\t[\"<s>\"]");
    free(map);
    last_warning[0] = 0;
    CHECK_INT(hf_tokenizer_read(ctx, folder, &again), VKB_OK);
    CHECK_STR(last_warning, ""); // its own files agree
    check_same(&tok, &again);
    hf_tokenizer_free(&again);

    // The lines alone give the ids again; what they cannot say is the limit of a word, and a gap is
    // a blank line.
    unlink(temp_path(folder, "tokenizer.json"));
    CHECK_INT(hf_tokenizer_read(ctx, folder, &again), VKB_OK);
    CHECK_STR(again.pieces[6], "");
    free(again.pieces[6]);
    again.pieces[6] = NULL;
    again.max_input_chars_per_word = 90;
    check_same(&tok, &again);
    hf_tokenizer_free(&again);
    CHECK_INT(hf_tokenizer_write(ctx, temp_path(folder, "absent"), &tok), VKB_IO);
    hf_tokenizer_free(&tok);
}

TEST(keeps_keys_that_are_not_its_own)
{
    hf_tokenizer tok;
    CHECK_INT(
        read_files(JSON("\"theirs\":[7],", ""), NULL,
                   "{\"do_basic_tokenize\":true,\"do_lower_case\":false,\"never_split\":[\"x\"],"
                   "\"model_max_length\":1e30,\"added_tokens_decoder\":{\"9\":{}}}",
                   &tok),
        VKB_OK);
    temp_empty(folder);
    CHECK_INT(hf_tokenizer_write(ctx, folder, &tok), VKB_OK);
    hf_tokenizer_free(&tok);
    char *json = temp_read(folder, "tokenizer.json", NULL);
    char *config = temp_read(folder, "tokenizer_config.json", NULL);
    CHECK_HAS(json, "\"theirs\":\t[7]");
    CHECK_HAS(json, "\"want\":\t5"); // the vocabulary is ours
    CHECK_HAS(config, "\"do_basic_tokenize\":\ttrue");
    CHECK_HAS(config, "\"never_split\":\t[\"x\"]");
    CHECK(!strstr(config, "model_max_length")); // unset has no number
    CHECK(!strstr(config, "\"9\""));            // no token of tokenizer.json
    free(json);
    free(config);
    CHECK_INT(hf_tokenizer_read(ctx, folder, &tok), VKB_OK);
    CHECK_INT(tok.piece_count, 8);
    hf_tokenizer_free(&tok);
}

TEST(keeps_ids_where_a_piece_cannot_be_written)
{
    hf_tokenizer tok, again;
    CHECK_INT(read_files(NULL, VOCAB_LINES "want\nlast\n", NULL, &tok), VKB_OK);
    free(tok.pieces[6]);
    tok.pieces[6] = strdup("\n");
    CHECK_INT(hf_tokenizer_write(ctx, folder, &tok), VKB_OK);
    CHECK_HAS(last_warning, "token 6 has a line break");
    char *text = temp_read(folder, "vocab.txt", NULL);
    CHECK_STR(text, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwant\n\nwant\nlast\n");
    free(text);
    CHECK_INT(hf_tokenizer_read(ctx, folder, &again), VKB_OK);
    CHECK_STR(again.pieces[6], "\n");
    CHECK(!again.pieces[5]); // of a piece that stands twice the last id is kept
    CHECK_STR(again.pieces[7], "want");
    hf_tokenizer_free(&again);
    hf_tokenizer_free(&tok);
}

int main(void)
{
    ctx = vkb_context_create(keep_warning, NULL);
    folder = temp_folder();
    RUN(reads_a_vocabulary_of_lines);
    RUN(reads_the_config_beside_the_lines);
    RUN(refuses_a_bad_vocabulary);
    RUN(reads_tokenizer_json);
    RUN(follows_the_config_over_the_normalizer);
    RUN(refuses_other_tokenizers_by_name);
    RUN(says_when_the_folder_is_another_model_s);
    RUN(refuses_bad_ids);
    RUN(reads_back_what_it_wrote);
    RUN(keeps_keys_that_are_not_its_own);
    RUN(keeps_ids_where_a_piece_cannot_be_written);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
