// vkbert: train BERT by masked-language modelling on any Vulkan device, fill masks, evaluate.
//
// The API follows the way of the data:
//
//   context -> device -> tokenizer -> data set -> model -> trainer / evaluate / fill-mask -> folder
//
// Conventions, once for all:
//   * Every function that can fail returns a vkb_status; the sentence for a person is vkb_error().
//     The library never prints, exits or aborts; what it has to say while working goes to the
//     context's log callback.
//   * create/open/load functions write *out only on success; destroy/close functions accept NULL
//     and write NULL.
//   * Strings are UTF-8. Sizes are bytes where the name says bytes, elements otherwise. Times are
//     seconds. Losses are nats.
//   * A params struct whose members are zero asks for the documented defaults.
//   * An object is used by one thread at a time; different contexts are independent.
//   * A child keeps pointers to its parents (device to context, model to device, ...): destroy
//     children first.
//
// It is one long file, so that a program includes one and a reader finds all of it in one place.
#ifndef VKBERT_H
#define VKBERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define VKB_API __declspec(dllexport)
#else
#define VKB_API __attribute__((visibility("default")))
#endif

// ---- Status ----

// X(name, exit code of the command line, meaning)
#define VKB_STATUS_LIST(X)                                                                         \
    X(VKB_OK, 0, "done")                                                                           \
    X(VKB_FAILED, 1, "failed while working")                                                       \
    X(VKB_OUT_OF_MEMORY, 1, "out of memory")                                                       \
    X(VKB_IO, 1, "reading or writing failed")                                                      \
    X(VKB_DEVICE_LOST, 1, "the device was lost; only destroy functions may be called")             \
    X(VKB_BAD_ARGUMENT, 2, "wrong argument")                                                       \
    X(VKB_BAD_FILE, 3, "bad input file")                                                           \
    X(VKB_NO_DEVICE, 4, "no usable device")                                                        \
    X(VKB_INTERRUPTED, 130, "interrupted")

typedef enum vkb_status {
#define X(name, exit_code, text) name,
    VKB_STATUS_LIST(X)
#undef X
} vkb_status;

VKB_API const char *vkb_version(void);     // "0.1.0"
VKB_API const char *vkb_commit(void);      // git commit of the build, or "unknown"
VKB_API const char *vkb_shader_hash(void); // hash of all embedded SPIR-V, 16 hex digits
VKB_API uint32_t vkb_loader_version(void); // of the Vulkan loader, as VK_MAKE_API_VERSION; 0: none
VKB_API const char *vkb_status_text(vkb_status status);
VKB_API int vkb_exit_code(vkb_status status); // the command line's exit code for it

// ---- Context: error text and log ----

typedef struct vkb_context vkb_context;

typedef enum vkb_log_level {
    VKB_LOG_ERROR,
    VKB_LOG_WARNING,
    VKB_LOG_INFO,
    VKB_LOG_DEBUG
} vkb_log_level;
typedef void (*vkb_log_fn)(void *user, vkb_log_level level, const char *sentence);

// log may be NULL. Returns NULL only when memory is exhausted.
VKB_API vkb_context *vkb_context_create(vkb_log_fn log, void *user);
VKB_API void vkb_context_destroy(vkb_context **ctx);

// The sentence of the last failure in this context, of whichever thread; never NULL. Valid until
// the calling thread asks again, or ends.
VKB_API const char *vkb_error(const vkb_context *ctx);

// ---- Devices ----

typedef enum vkb_device_type {
    VKB_DISCRETE,
    VKB_INTEGRATED,
    VKB_VIRTUAL,
    VKB_SOFTWARE,
    VKB_OTHER
} vkb_device_type;

typedef struct vkb_cooperative_matrix {
    uint32_t m, n, k;
    char a[8], b[8], c[8], result[8]; // component types: "f16", "f32", "bf16", "s8", ...
} vkb_cooperative_matrix;

typedef struct vkb_device_info {
    char name[256];
    char driver[512]; // driver name and version text
    char uuid[33];    // 32 hex digits
    uint32_t vendor_id, device_id;
    uint32_t api_version; // VK_MAKE_API_VERSION
    vkb_device_type type;
    uint64_t device_memory;     // bytes in device-local heaps
    uint64_t max_allocation;    // bytes in one allocation
    uint64_t max_storage_range; // bytes visible through one binding
    uint32_t max_shared_memory; // bytes
    uint32_t max_workgroup_invocations;
    uint32_t max_push_constants; // bytes
    uint32_t subgroup_size, min_subgroup_size, max_subgroup_size;
    bool fp16, storage16, bf16, int8, timestamps;
    bool matrix_fp16, matrix_bf16; // VK_KHR_cooperative_matrix of these types, with what it needs
    bool matrix_workgroup; // VK_NV_cooperative_matrix2: of workgroups of 256, fp16, any size of 64s
    bool full_subgroups;   // a workgroup's subgroups can be demanded to be full, and of one size
    uint32_t matrix_count; // cooperative-matrix shapes the driver lists; 0: no such extension
    vkb_cooperative_matrix matrix[64]; // the first 64 of them
    char unusable[256];                // why vkbert cannot use the device; "" when it can
    // A newer software driver, see below: the .json of the one in use, and the system's driver that
    // it is used instead of; or what to type to have one. "": it is not so.
    char driver_file[1024], instead_of[512], faster_driver[1024];
} vkb_device_info;

// Lists the devices of every driver that the Vulkan loader finds. *list is an array of *count,
// freed with free(). VKB_NO_DEVICE: no loader, or no driver.
//
// Where these are no GPU but an llvmpipe of a Mesa before 24, and tools/drivers.sh has fetched a
// newer one into the user's cache folder, drivers/mesa-backports, that one is used instead, by
// vkb_device_open too, and the log says so. VKBERT_DRIVER=system in the environment turns it off,
// as do VK_DRIVER_FILES, VK_ICD_FILENAMES and VK_ADD_DRIVER_FILES, which name drivers.
VKB_API vkb_status vkb_device_list(vkb_context *ctx, vkb_device_info **list, size_t *count);

// A family of kernels that matrix products of a type can be computed by on a device: "coop"
// (cooperative matrices), "nv" (those of a whole workgroup), "tile", "lanes"; of operands "fp32",
// "fp16", "bf16".
typedef struct vkb_products {
    const char *type, *family;
} vkb_products;

// By type, the family that is tried first at the front. Writes at most `most`, returns how many.
VKB_API size_t vkb_device_products(const vkb_device_info *info, vkb_products *list, size_t most);

typedef struct vkb_device vkb_device;

typedef struct vkb_device_params {
    // An index, part of the name, a UUID, or "cpu"; NULL or "": $VKBERT_DEVICE, else the best.
    const char *select;
    // VK_LAYER_KHRONOS_validation with synchronisation checks; each message is logged and counted.
    bool validate;
    // Do not read or write the pipeline cache in the user's cache folder.
    bool no_cache;
    // Bytes of its memory that vkbert may take, as on a smaller device; 0: $VKBERT_MEMORY_LIMIT, in
    // MiB, else what there is.
    uint64_t memory_limit;
} vkb_device_params;

VKB_API vkb_status vkb_device_open(vkb_context *ctx, const vkb_device_params *params,
                                   vkb_device **out);
VKB_API void vkb_device_close(vkb_device **dev);
VKB_API const vkb_device_info *vkb_device_get_info(const vkb_device *dev);
VKB_API uint32_t vkb_device_validation_messages(const vkb_device *dev);

// ---- Text: where it comes from ----

// Called while something long is done, on the calling thread: how much of it is done. While text is
// read: bytes of all files' bytes (total 0: not known, as of standard input); while a model is
// evaluated: rows, or tokens, as documented there.
typedef void (*vkb_progress_fn)(void *user, const char *what, uint64_t done, uint64_t total);

// What a vocabulary is trained on and a data set is made of: texts, one after the other.
//
// A path is a file, a folder (the files in it and below, by name), a glob, or "-" for standard
// input. Its format follows its name: .jsonl, .json, .csv and .tsv hold rows, of which one column
// is the text and each row a document; any other file holds lines, of which each is a text and a
// blank one ends a document. Each may be packed as .gz or .zst.
typedef struct vkb_text_source {
    const char *const *paths;
    size_t path_count;
    const char *text_column;  // of rows; NULL: "text" where there is one, else the first
    bool drop_duplicates;     // a text that was there before, to the byte, is left out
    vkb_progress_fn progress; // may be NULL
    void *user;
} vkb_text_source;

// Finds the source's files without reading them. VKB_BAD_FILE names a path that is not there or
// cannot be read, a glob or a folder without a file.
VKB_API vkb_status vkb_text_source_check(vkb_context *ctx, const vkb_text_source *source);

// ---- Models by name: folders, the Hugging Face hub, and the hub's cache ----
//
// The cache is huggingface_hub's: what either has fetched the other finds. Zeros in vkb_hub_params
// ask for what the environment says, in huggingface_hub's variables: HF_ENDPOINT; HF_HUB_CACHE,
// HF_HOME, XDG_CACHE_HOME; HF_TOKEN, HF_TOKEN_PATH and the file that `hf auth login` leaves;
// HF_HUB_OFFLINE; HF_HUB_DOWNLOAD_TIMEOUT (10 seconds without a byte); proxies as libcurl reads
// them, https_proxy and no_proxy; CURL_CA_BUNDLE.

typedef enum vkb_part { // what is wanted of a model
    VKB_PART_CONFIG = 1,
    VKB_PART_TOKENIZER = 2,
    VKB_PART_WEIGHTS = 4,
} vkb_part;

typedef struct vkb_hub_params {
    uint32_t parts; // of vkb_part, ored [all]; config.json always comes
    const char
        *revision; // a branch, a tag or a commit [what stands behind the name's "@", else main]
    const char *cache_folder; // [the environment's]
    const char *endpoint;     // [the environment's, else https://huggingface.co]
    const char *token;        // [the environment's]; goes to the endpoint and to no other host
    bool offline;             // the cache alone
    uint32_t transfers;       // files at a time [4]
    vkb_progress_fn progress; // bytes of all files that are being fetched; may be NULL
    // Asked ten times a second, on the calling thread; true ends the work with VKB_INTERRUPTED, and
    // the next call goes on from there. May be NULL.
    bool (*stop)(void *user);
    void *user; // of progress and stop
} vkb_hub_params;

typedef struct vkb_model_source {
    char *folder;    // for vkb_folder_open, vkb_tokenizer_load, vkb_model_load
    char *name;      // on the hub, without "@"; NULL: it was a folder
    char *revision;  // that was asked for
    char commit[41]; // that it is
    bool fetched;    // files came from the hub now
} vkb_model_source;

// A model by what people type: a folder; else "name" or "owner/name", with "@revision" behind it or
// without, found in the cache, or fetched into it. Does not ask the hub about what the cache has.
// params may be NULL. VKB_BAD_ARGUMENT: neither a folder nor a name. VKB_BAD_FILE: no such folder,
// model or revision. VKB_IO, VKB_FAILED: no network, no access, a fault of the hub, a file with
// another length or hash than the hub tells. Safe from several threads and processes at once.
VKB_API vkb_status vkb_find_model(vkb_context *ctx, const char *model, const vkb_hub_params *params,
                                  vkb_model_source *out);
// Brings the cache's copy of a name up to date. Without a network the copy is left as it is, when
// there is one, and a line of the log says so.
VKB_API vkb_status vkb_pull(vkb_context *ctx, const char *name, const vkb_hub_params *params,
                            vkb_model_source *out);
VKB_API void vkb_model_source_free(vkb_model_source *source); // leaves it zeroed

// ---- Tokenizer ----

typedef struct vkb_tokenizer vkb_tokenizer;

// Ids of the special tokens. Looked up by name in the vocabulary, never assumed.
typedef struct vkb_special_ids {
    uint32_t pad, unk, cls, sep, mask;
} vkb_special_ids;

typedef struct vkb_token {
    uint32_t id;
    uint32_t type;       // 0 first text, 1 second
    uint32_t begin, end; // bytes of the text it came from; 0,0 for special tokens added and padding
    uint32_t word;       // which word of its text, from 0; UINT32_MAX for those
    bool special;        // added by the post-processor, or padding
    bool padding;        // attention_mask is 0
} vkb_token;

// Zero-initialised by the caller, grown as needed, used again from text to text; freed by
// vkb_tokens_free.
typedef struct vkb_tokens {
    vkb_token *at;
    size_t count, capacity;
    // What did not fit max_length, as rows of their own, special tokens and padding included.
    struct vkb_tokens *overflow;
    size_t overflow_count, overflow_capacity;
    size_t invalid_bytes; // of the text and its pair, read as U+FFFD
} vkb_tokens;

#define VKB_TEXT_MAX 0x0FFFFFFFu // bytes of a text that is encoded: 256 MiB less one

typedef enum vkb_truncation {
    VKB_TRUNCATE_LONGEST_FIRST, // of a pair the longer text, both once they are equal
    VKB_TRUNCATE_ONLY_FIRST,
    VKB_TRUNCATE_ONLY_SECOND,
} vkb_truncation;

// What transformers' tokenizers take, with their meaning. Zeros: special tokens, no limit, no
// padding.
typedef struct vkb_encode_params {
    bool no_special_tokens;
    uint32_t max_length; // tokens at most, special ones included; 0: no limit
    vkb_truncation truncation;
    bool truncate_left; // keep the text's end
    uint32_t stride;    // tokens that a row of the overflow repeats of the one before it
    uint32_t pad_to;    // pad rows to so many tokens; 0: no padding
    uint32_t pad_to_multiple_of;
    bool pad_left;
} vkb_encode_params;

typedef struct vkb_vocab_params { // 0: the default in brackets
    uint32_t vocab_size;          // [30000]
    uint32_t min_frequency;       // [2]
    uint32_t limit_alphabet;      // [1000]
    bool cased;                   // keep case and accents
    // The first pieces, in this order; [PAD], [UNK], [CLS], [SEP] and [MASK] must be among them.
    const char *const *special_tokens; // [those five]
    uint32_t special_token_count;
    uint32_t
        unused; // pieces [unused0], [unused1], ... behind them, for words to be added later [0]
} vkb_vocab_params;

// From a model folder: tokenizer.json, else vocab.txt with tokenizer_config.json.
VKB_API vkb_status vkb_tokenizer_load(vkb_context *ctx, const char *folder, vkb_tokenizer **out);
// Trains a WordPiece vocabulary, as BertWordPieceTrainer does.
VKB_API vkb_status vkb_tokenizer_train(vkb_context *ctx, const vkb_text_source *source,
                                       const vkb_vocab_params *params, vkb_tokenizer **out);
// Writes vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json, each whole
// or not at all.
VKB_API vkb_status vkb_tokenizer_save(const vkb_tokenizer *tok, const char *folder);
VKB_API void vkb_tokenizer_destroy(vkb_tokenizer **tok);

VKB_API uint32_t vkb_tokenizer_size(const vkb_tokenizer *tok); // ids are 0 .. size-1
VKB_API vkb_special_ids vkb_tokenizer_special(const vkb_tokenizer *tok);
VKB_API const char *vkb_tokenizer_piece(const vkb_tokenizer *tok, uint32_t id); // NULL: no such id
VKB_API bool vkb_tokenizer_find(const vkb_tokenizer *tok, const char *piece, uint32_t *id);

// [CLS] text [SEP], or [CLS] text [SEP] pair [SEP]. pair and params may be NULL. Replaces what out
// held. Invalid UTF-8 is read as U+FFFD. VKB_BAD_ARGUMENT: a text of more than VKB_TEXT_MAX; a
// stride or a strategy that leaves nothing to cut. Several threads may encode with one tokenizer.
VKB_API vkb_status vkb_encode(const vkb_tokenizer *tok, const char *text, size_t bytes,
                              const char *pair, size_t pair_bytes, const vkb_encode_params *params,
                              vkb_tokens *out);
VKB_API void vkb_tokens_free(vkb_tokens *tokens);

// Many texts, on several threads: the ids of text i, special tokens included unless
// no_special_tokens, are (*ids)[(*starts)[i]] .. (*ids)[(*starts)[i + 1] - 1]. Both arrays are
// freed with free(). threads 0: one a core.
VKB_API vkb_status vkb_encode_batch(const vkb_tokenizer *tok, const char *const *texts,
                                    const size_t *bytes, size_t count, bool no_special_tokens,
                                    uint32_t threads, uint32_t **ids, size_t **starts);

// The text of ids, as transformers' decode: "##" joined, punctuation cleaned up. *text is freed
// with free().
VKB_API vkb_status vkb_decode(const vkb_tokenizer *tok, const uint32_t *ids, size_t count,
                              bool skip_special, char **text);

// ---- Data set: text as rows of ids ----

typedef struct vkb_dataset vkb_dataset;

typedef enum vkb_rows {
    VKB_ROWS_GROUPED, // [CLS] text [SEP] after [CLS] text [SEP], cut every max_seq_length tokens
    VKB_ROWS_LINES,   // a text a row, cut at max_seq_length, padded
    VKB_ROWS_PACKED,  // several texts a row, each attending to itself alone; longer ones are cut up
    VKB_ROWS_PAIRS,   // [CLS] A [SEP] B [SEP] of whole texts of a document, for next-sentence
                      // prediction, as Google's create_pretraining_data makes them
} vkb_rows;

typedef struct vkb_dataset_params { // 0: the default in brackets
    uint32_t max_seq_length;        // [128]
    vkb_rows rows;
    uint64_t max_samples, max_held_out_samples; // rows kept; 0: all
    // Takes this share of the texts out, spread evenly (of documents with VKB_ROWS_PAIRS), for
    // vkb_dataset_load's held_out. 0: none.
    double validation_split;
    double short_seq_probability; // of pairs that aim at a random shorter length [0.1]; negative: 0
    uint64_t seed;                // of the pairs
    uint32_t threads;             // [one a core]
    // Ids are kept in this folder and found there again while text and tokenizer stay the same.
    // NULL: the user's cache folder.
    const char *cache_folder;
    bool rebuild_cache;
} vkb_dataset_params;

// Tokenises a text source, or finds its ids in the cache. held_out may be NULL when
// validation_split is 0. VKB_BAD_FILE: no text in it.
VKB_API vkb_status vkb_dataset_load(const vkb_tokenizer *tok, const vkb_text_source *source,
                                    const vkb_dataset_params *params, vkb_dataset **out,
                                    vkb_dataset **held_out);
// Rows of random ids without padding, for measuring a device where no text is wanted. Of params
// max_seq_length, max_samples (the rows) and seed are taken. Ids are 0 .. vocab_size-1, of which
// the first are special.
VKB_API vkb_status vkb_dataset_random(vkb_context *ctx, uint32_t vocab_size,
                                      const vkb_dataset_params *params, vkb_dataset **out);
VKB_API void vkb_dataset_destroy(vkb_dataset **data);
// Of pairs: in the first epoch; each epoch pairs anew.
VKB_API uint64_t vkb_dataset_rows(const vkb_dataset *data);
// Tokens of all rows without padding; divided by rows * max_seq_length, how full they are.
VKB_API uint64_t vkb_dataset_tokens(const vkb_dataset *data);
VKB_API bool vkb_dataset_was_cached(const vkb_dataset *data);
// Entropy of the data set's own token frequencies in nats, special tokens left out: what a model
// without context reaches.
VKB_API double vkb_dataset_unigram_entropy(const vkb_dataset *data);

// ---- Model ----

typedef enum vkb_activation { VKB_GELU, VKB_GELU_TANH } vkb_activation;

// config.json of BertForMaskedLM or BertForPreTraining
typedef struct vkb_config {
    uint32_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    uint32_t max_position_embeddings, type_vocab_size, pad_token_id;
    vkb_activation hidden_act;
    bool next_sentence; // with pooler and NSP head: BertForPreTraining, else BertForMaskedLM
    float hidden_dropout_prob, attention_probs_dropout_prob, initializer_range, layer_norm_eps;
} vkb_config;

// Fills config for "tiny", "mini", "small", "medium", "base" or "large". VKB_BAD_ARGUMENT for
// another name.
VKB_API vkb_status vkb_config_preset(vkb_context *ctx, const char *size, vkb_config *config);
VKB_API vkb_status vkb_config_read(vkb_context *ctx, const char *path, vkb_config *config);
// Applies "key=value,key=value" to config, keys as in config.json.
VKB_API vkb_status vkb_config_override(vkb_context *ctx, const char *overrides, vkb_config *config);

typedef struct vkb_tensor_info {
    const char *name;      // in the file
    const char *canonical; // as BertForMaskedLM calls it
    const char *dtype;     // "F32", ...
    uint32_t rank;
    uint64_t shape[8]; // as BertForMaskedLM has it: TensorFlow's kernels are stored transposed
} vkb_tensor_info;

// A model folder read without a device: config.json (or bert_config.json), and the weights as
// model.safetensors, pytorch_model.bin or the shards of either, or a TensorFlow checkpoint
// (bert_model.ckpt.index, or a SavedModel's variables/variables.index). Checks a checkpoint's sums,
// so reads all of its weights.
typedef struct vkb_folder vkb_folder;
VKB_API vkb_status vkb_folder_open(vkb_context *ctx, const char *path, vkb_folder **out);
VKB_API void vkb_folder_close(vkb_folder **folder);
VKB_API const vkb_config *vkb_folder_config(const vkb_folder *folder);
VKB_API const char *vkb_folder_weights(const vkb_folder *folder); // path of the weights file
VKB_API size_t vkb_folder_tensor_count(const vkb_folder *folder);
VKB_API vkb_tensor_info vkb_folder_tensor(const vkb_folder *folder, size_t index);

// What is wrong with a folder's tensors, beside what its config.json asks for.
typedef enum vkb_tensor_fault_kind {
    VKB_TENSOR_MISSING,    // of the encoder or the MLM head, and not there
    VKB_TENSOR_MISMATCHED, // of another shape
    VKB_TENSOR_UNEXPECTED, // of another model, such as a classifier: not loaded, and not saved again
} vkb_tensor_fault_kind;

typedef struct vkb_tensor_fault {
    vkb_tensor_fault_kind kind;
    char name[128];         // in the file; of a missing one, as BertForPreTraining names it
    uint32_t rank;          // 0: missing
    uint64_t shape[8];      // in the file
    uint32_t expected_rank; // 0: unexpected
    uint64_t expected[2];
} vkb_tensor_fault;

// Missing and mismatched ones in the model's order, then the unexpected ones by name; *list is an
// array of *count, freed with free(). Pooler and next-sentence head are never missing, buffers such
// as position_ids never unexpected.
VKB_API vkb_status vkb_folder_compare(vkb_context *ctx, const vkb_folder *folder,
                                      vkb_tensor_fault **list, size_t *count);

typedef enum vkb_precision { VKB_FP32, VKB_FP16, VKB_BF16 } vkb_precision;

typedef struct vkb_save_params { // 0: the default in brackets
    // Of the weights in the file, rounded to the nearest, ties to even [fp32]. fp16 makes values
    // beyond 65504 infinite; the log warns of each tensor that has one.
    vkb_precision precision;
} vkb_save_params;

// Writes config.json and model.safetensors as vkb_model_save does, of a folder in any form that can
// be read, without a device. A bare BertModel stays one. Tensors of other models are left out and
// named in the log. params may be NULL.
VKB_API vkb_status vkb_folder_save(vkb_context *ctx, const vkb_folder *folder, const char *path,
                                   const vkb_save_params *params);

typedef struct vkb_model vkb_model;

// What position embeddings start as. NEAR makes neighbours stand out from the first step on.
typedef enum vkb_position_init {
    VKB_POSITION_NORMAL,
    VKB_POSITION_SINUSOIDAL, // of deviation initializer_range, wavelengths up to 2 pi 10000
    VKB_POSITION_NEAR,       // of twice that deviation, wavelengths up to 2 pi 100
} vkb_position_init;

// What key weights start as.
typedef enum vkb_key_init {
    VKB_KEY_NORMAL,
    VKB_KEY_QUERY, // equal to the query weights: a query finds what resembles it
    VKB_KEY_NEAR,  // the same, both half as large again: sooner, a few
} vkb_key_init;

typedef struct vkb_init_params { // all 0: Hugging Face's
    uint64_t seed;
    vkb_position_init position;
    vkb_key_init key;
} vkb_init_params;

// Random weights as Hugging Face's: N(0, initializer_range), biases 0, gains 1, the [PAD] row 0.
// The same seed gives the same weights on every device.
VKB_API vkb_status vkb_model_create(vkb_device *dev, const vkb_config *config,
                                    const vkb_init_params *params, vkb_model **out);
typedef struct vkb_load_params {
    bool
        next_sentence; // give the model a pooler and an NSP head when the folder has not both: what
                       // is missing starts at random, and the log names it
    uint64_t seed;     // of that
    bool masked_lm; // the same for the MLM head, which a bare BertModel lacks; without it a folder
                    // that lacks any of it is refused
    // More than the folder has: the vocabulary grows to it as transformers' resize_token_embeddings
    // lets it grow, new rows drawn by the seed; all others keep their bits. 0, or fewer: as it is.
    uint32_t vocab_size;
} vkb_load_params;

// A Hugging Face folder with config.json and the weights: model.safetensors, or else
// pytorch_model.bin, each whole or in shards with an index. A pooler and NSP head that are there
// are kept (config.next_sentence), trained or not. params may be NULL.
VKB_API vkb_status vkb_model_load(vkb_device *dev, const char *folder,
                                  const vkb_load_params *params, vkb_model **out);
// Writes config.json and model.safetensors, each whole or not at all, as transformers'
// save_pretrained does. Keys of the config.json that the model was loaded with stay, where they say
// nothing else than the model; so does a pooler without its next-sentence head, or a head without
// its pooler. params may be NULL.
VKB_API vkb_status vkb_model_save(const vkb_model *model, const char *folder,
                                  const vkb_save_params *params);
VKB_API void vkb_model_destroy(vkb_model **model);
VKB_API const vkb_config *vkb_model_config(const vkb_model *model);
VKB_API uint64_t vkb_model_parameters(const vkb_model *model); // the tied decoder counted once

// ---- fill-mask ----

typedef struct vkb_fill {
    double score; // softmax over the whole vocabulary
    uint32_t token;
} vkb_fill;

typedef struct vkb_fill_params {
    uint32_t top_k;          // [5]
    const uint32_t *targets; // ids to score instead of the best; NULL: all
    size_t target_count;
    bool truncate; // cut a text that is too long, instead of failing
} vkb_fill_params;

typedef struct vkb_fill_result {
    vkb_tokens tokens; // the input as tokens
    size_t mask_count, top_k;
    uint32_t *mask_positions; // [mask_count], indices into tokens
    vkb_fill *fills;          // [mask_count][top_k], best first
} vkb_fill_result;

// Scores the [MASK]s of one text, each on its own (marginals, as transformers' pipeline). out is
// zero-initialised by the caller and may be reused; freed by vkb_fill_result_free. Waits for the
// device. VKB_BAD_ARGUMENT: no [MASK] in the text, or too long.
//
// Several threads may fill masks with one model and one tokenizer, or with several models of one
// device, as long as nothing else uses the device: they encode and score side by side, and take
// turns on the device. Each has results of its own.
VKB_API vkb_status vkb_fill_mask(vkb_model *model, const vkb_tokenizer *tok, const char *text,
                                 const vkb_fill_params *params, vkb_fill_result *out);
// The same for many texts: results[i] is what texts[i] alone gives, to the bit. Texts of about
// equal length run together. results [count] are zero-initialised by the caller as above, and freed
// one by one, also after a failure. *failed (may be NULL) is then the text at fault, count if it is
// none's.
VKB_API vkb_status vkb_fill_mask_batch(vkb_model *model, const vkb_tokenizer *tok,
                                       const char *const *texts, size_t count,
                                       const vkb_fill_params *params, vkb_fill_result *results,
                                       size_t *failed);
VKB_API void vkb_fill_result_free(vkb_fill_result *result);

// ---- Masks and objective ----

// Which tokens are predicted. [CLS], [SEP] and [PAD] never are selected.
typedef enum vkb_masking {
    VKB_MASK_MLM,        // each token by itself, drawn anew every epoch
    VKB_MASK_WHOLE_WORD, // a word's first piece is drawn, the "##" pieces behind it follow
    VKB_MASK_STATIC,     // as VKB_MASK_MLM, with the same masks every static_copies epochs
    VKB_MASK_TUTORIAL,   // selected tokens always become [MASK]; the loss is over all real tokens,
                         // masked or not; static
} vkb_masking;

typedef struct vkb_mask_params { // 0: the default in brackets
    vkb_masking masking;
    double mlm_probability; // [0.15]
    // A selected token becomes [MASK] with the first, a random id with the second probability, and
    // stays as it is otherwise; together at most 1.
    double mask_replace_prob;   // [0.8]; negative: 0
    double random_replace_prob; // [0.1]; negative: 0
    uint32_t static_copies;     // epochs until static masks repeat [1]
} vkb_mask_params;

typedef enum vkb_objective {
    VKB_OBJECTIVE_MLM,
    VKB_OBJECTIVE_NSP,     // next-sentence prediction alone; needs a model with next_sentence and
    VKB_OBJECTIVE_MLM_NSP, // VKB_ROWS_PAIRS. The sum of both losses, as BertForPreTraining
} vkb_objective;

// ---- Evaluation ----

// A row as the model was asked about it: all that another program needs to ask the same. Valid
// during the call.
typedef struct vkb_eval_row {
    uint64_t row;          // of the data set
    uint32_t tokens;       // without padding: the length of the arrays
    const uint32_t *ids;   // as the model read them, masks included; of pseudo-perplexity the text
                           // itself, of which each labelled token was masked on its own
    const int32_t *labels; // the true id of a predicted token; -100: not predicted
    const uint32_t *types; // 0 first text, 1 second
    const uint32_t *positions; // which position embedding
    const uint32_t *segments;  // 1, 2, ...: a token attends to those of its own segment
    int32_t next_sentence;     // 1: the second text is a random one, 0: it follows, -100: no pair
    double log_likelihood;     // sum over the predicted tokens of ln P(token), nats
} vkb_eval_row;
// Anything but VKB_OK ends the evaluation, which returns it.
typedef vkb_status (*vkb_eval_row_fn)(void *user, const vkb_eval_row *row);

typedef struct vkb_eval_params { // 0: the default in brackets
    uint32_t batch_size;         // rows a pass [8]
    vkb_mask_params mask;        // not of pseudo-perplexity
    vkb_objective objective;     // the same
    uint64_t seed;            // the masks are a function of seed, row and position only; the same
    vkb_progress_fn progress; // rows; of pseudo-perplexity tokens. May be NULL
    vkb_eval_row_fn on_row;   // gets each row, in the data set's order. May be NULL
    void *user;               // of both
} vkb_eval_params;

typedef struct vkb_eval_result {
    double loss,
        perplexity; // nats per masked token over all of them; exp(loss), which may be INFINITY
    double top1,
        top5; // shares of masked tokens whose id is the best, among the five best; of equal
              // logits the lowest id counts as the best
    uint64_t masked_tokens, rows;
    double next_sentence_loss, next_sentence_accuracy; // nats a row; 0 without the objective
    double seconds;
} vkb_eval_result;

// VKB_BAD_FILE: no token of the rows was masked. VKB_FAILED: the loss is not a number.
VKB_API vkb_status vkb_evaluate(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                                const vkb_eval_params *params, vkb_eval_result *result);

typedef struct vkb_pseudo_result {
    double pseudo_log_likelihood; // sum over the tokens of ln P(token | the rest of its text), nats
    double pseudo_perplexity;     // exp(-pseudo_log_likelihood / tokens), which may be INFINITY
    double top1, top5;            // shares of the tokens, as in vkb_eval_result
    uint64_t tokens, rows;
    double seconds;
} vkb_pseudo_result;

// Pseudo-perplexity (Salazar et al., "Masked Language Model Scoring", 2020): each token of each row
// but [CLS], [SEP] and [PAD] becomes [MASK] on its own and is predicted from all others of its
// segment: a pass a token, taken together in batches of about batch_size * max_seq_length tokens.
// Made for VKB_ROWS_LINES, where a text's figure does not depend on its neighbours. VKB_BAD_FILE:
// no token to predict. VKB_FAILED: the likelihood is not a number.
VKB_API vkb_status vkb_pseudo_perplexity(vkb_model *model, const vkb_tokenizer *tok,
                                         vkb_dataset *data, const vkb_eval_params *params,
                                         vkb_pseudo_result *result);

// ---- Training ----

typedef struct vkb_trainer vkb_trainer;

typedef enum vkb_schedule {
    VKB_LINEAR,
    VKB_COSINE,
    VKB_CONSTANT,
    VKB_CONSTANT_WITH_WARMUP
} vkb_schedule;

typedef struct vkb_train_params {         // 0: the default in brackets, where one is given
    uint32_t batch_size;                  // rows a micro-batch [8]
    uint32_t gradient_accumulation_steps; // [1]
    bool gradient_checkpointing; // keep of each layer its output alone, and compute the rest
                                 // again in the backward pass: the same bits, less memory
    double learning_rate;        // [5e-5]
    double weight_decay;
    double adam_beta1, adam_beta2, adam_epsilon; // [0.9] [0.999] [1e-8]
    double max_grad_norm;                        // [1.0]; negative: no clipping
    vkb_schedule schedule;
    uint64_t warmup_steps;   // with max_seconds the rate is the smaller of this rise and of the
                             // decay over the time
    double warmup_ratio;     // of the run, when warmup_steps is 0
    double num_train_epochs; // [3; with max_seconds no limit]
    uint64_t max_steps;      // 0: by epochs
    double max_seconds;      // 0: no limit; see below
    vkb_mask_params mask;
    vkb_objective objective;
    // Of activations, their gradients, and the copy of the weights that products read [fp32].
    // Weights, moments, sums and losses are fp32 always. With fp16 gradients are scaled, as by
    // torch.amp.GradScaler: a step whose gradients overflow changes nothing and halves the scale.
    // hidden_size, a head and intermediate_size must be multiples of 4 then.
    vkb_precision precision;
    uint64_t seed;
} vkb_train_params;

// With max_seconds a run ends when its next step would end after so much time, by the speed seen so
// far: after one step at least, and never more than a step late. Its first step, in which drivers
// compile, is of the time, but of no progress of the rate. The time is wall time from the
// first step on, with all that the caller does between steps; a resumed run has what is left of it,
// which may be nothing. max_steps and num_train_epochs, where they are given, end the run before
// that. The learning rate follows the share of the time that is spent when a step begins, or of the
// steps where that is larger, so that it never rises again after its peak, however the speed
// changes. Time does not repeat itself: nor does such a run, to the bit.

typedef struct vkb_metrics {
    uint64_t step;      // finished steps
    uint64_t max_steps; // with max_seconds an estimate, by the speed seen so far, until the last
    double epoch;
    double loss;          // nats per masked token
    double grad_norm;     // before clipping
    double learning_rate; // that the step used
    double next_sentence_loss,
        next_sentence_accuracy; // of the step's rows; 0 without the objective
    uint64_t masked_tokens,
        overflowed_tokens;  // overflowed: drawn beyond capacity and left unmasked
    double loss_scale;      // of this step; 0 but in fp16
    uint64_t skipped_steps; // so far, whose gradients were not finite
    uint64_t stalls;        // times so far that the device had nothing to do because rows were late
    double seconds;         // since the trainer's first step
    double tokens_per_second; // over the last steps
    double seconds_left;
} vkb_metrics;

// Allocates gradients, moments and activations and records the step. VKB_OUT_OF_MEMORY names what
// did not fit. tok is NULL for random rows.
VKB_API vkb_status vkb_trainer_create(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                                      const vkb_train_params *params, vkb_trainer **out);
VKB_API void vkb_trainer_destroy(vkb_trainer **trainer);

// Runs one optimiser step on the next rows, unless there is none. Does not wait for it: metrics are
// those of the newest step that has finished (metrics->step is 0 before the first). *done is set
// when all steps have been submitted. metrics may be NULL. With max_seconds the first step and the
// last ones are waited for.
VKB_API vkb_status vkb_train_step(vkb_trainer *trainer, vkb_metrics *metrics, bool *done);
// Waits for the submitted steps; metrics are then those of the last.
VKB_API vkb_status vkb_trainer_finish(vkb_trainer *trainer, vkb_metrics *metrics);

// ---- Profile: where a step's time goes ----

// What the device reaches at best here, measured on random data within two seconds: bytes read and
// written by a copy, and operations of a product of that precision, of those that vkbert has.
typedef struct vkb_ceilings {
    double copy_bytes_per_second, product_flops_per_second;
} vkb_ceilings;
VKB_API vkb_status vkb_device_measure(vkb_device *dev, vkb_precision precision, vkb_ceilings *out);

// A kernel in a step: medians over the profiled steps. flops: as the operations estimate them, 0
// where they do not; bytes: of what is bound, each read and written once.
typedef struct vkb_profile_kernel {
    const char *name; // as in shaders/kernels.def
    double share;     // of the time in kernels; together 1
    double calls, seconds, flops, bytes;
} vkb_profile_kernel;

// A run of a kernel.
typedef struct vkb_profile_run {
    const char *kernel;
    char label[40];        // the part of the step, such as "layer forward"
    uint32_t step;         // 0 .. steps-1
    double begin, seconds; // on the device's clock, from the first run on
    double flops, bytes;
} vkb_profile_run;

typedef struct vkb_profile {
    uint32_t steps;        // that were profiled
    uint32_t plain_steps;  // before them, without timestamps, which step_seconds is the median of
    double step_seconds;   // from a step's end to the next one's; 0 when plain_steps is 0
    double kernel_seconds; // of a step in kernels: the sum of kernels[].seconds
    double gap_seconds; // of a profiled step on the device between kernels: copies, barriers, and
                        // waiting for the next submission; median
    double submissions; // to the device's queue, a step
    size_t kernel_count;
    vkb_profile_kernel *kernels; // those that ran, longest first
    size_t run_count;
    vkb_profile_run *runs; // in order
} vkb_profile;

// From begin on the trainer's steps run a kernel at a time, with timestamps, and are waited for;
// end goes back to steps as before and gives what was seen. The steps' results are the same to the
// bit. VKB_FAILED: the device has no timestamps (vkb_device_info). Both wait for the submitted
// steps; end without a step between gives a profile of no steps.
VKB_API vkb_status vkb_trainer_profile_begin(vkb_trainer *trainer);
VKB_API vkb_status vkb_trainer_profile_end(vkb_trainer *trainer, vkb_profile **out);
VKB_API void vkb_profile_free(vkb_profile **profile);

// ---- Tuning: which of vkbert's kernels are the fastest ones here ----
//
// Products of matrices have several kernels, in variants. Without tuning a trainer takes the best
// guess by the device's limits and features, always the same. Tuning measures the variants on
// random data, each only after its numbers were those of the plain kernel, and remembers the
// choices in the user's cache folder, for this device and driver. A variant that fails, hangs, is
// wrong, or loses the device is noted there, and not used again by anything, tuned or not; the log
// says so. Sums may be in another order from variant to variant: a run that was tuned differs in
// its last bits from one that was not. The same goes for attention by cooperative matrices, tried
// against its plain twin. A checkpoint names what its run used, and a resumed run uses the same, so
// that it equals an uninterrupted one.

typedef struct vkb_tune_params { // 0: the default in brackets
    double max_seconds; // [20]; and at most a fiftieth of the run, unless thorough. A variant that
                        // is being measured then is measured to its end
    bool
        thorough; // every variant of every product, also what is known; max_seconds 0 is without end
    vkb_progress_fn progress; // variants; may be NULL
    bool (*stop)(
        void *user); // asked before each; true ends the work with VKB_INTERRUPTED. May be NULL
    void *user;      // of both
} vkb_tune_params;

typedef struct vkb_tuned_variant {
    char product[96], variant[96]; // "NT 2048x512x128 f32-f32 bias": layout, m x n x k, types
    double calls, flops;           // of the product: in a step; of one call
    double seconds;                // of one call, median; 0: not measured now
    bool usual, chosen;            // usual: without tuning
    char fault[192];               // "": none is known
} vkb_tuned_variant;

typedef struct vkb_tuning {
    size_t products;      // different ones in a step
    size_t known;         // of them: chosen before, or with one variant only
    size_t measured;      // now
    size_t changed;       // whose choice is not the usual one
    double seconds;       // that tuning took
    double usual_seconds; // of a step, in the products that were measured: without tuning,
    double tuned_seconds; // and with it
    size_t variant_count;
    vkb_tuned_variant *variants; // by product, those that take longest first
    char path[4096];             // of the file with choices and faults; "": there is none
} vkb_tuning;

// Between two steps. Records the trainer's step anew with what was chosen. params and out may be
// NULL. VKB_DEVICE_LOST: a variant lost the device, or hung; it is noted, and will not be used
// again.
VKB_API vkb_status vkb_trainer_tune(vkb_trainer *trainer, const vkb_tune_params *params,
                                    vkb_tuning **out);
VKB_API void vkb_tuning_free(vkb_tuning **tuning);

// Moments, step and position in the data, so that a resumed run equals an uninterrupted one bit for
// bit. Writes optimizer.safetensors and trainer_state.json; the weights are saved by
// vkb_model_save.
VKB_API vkb_status vkb_trainer_save(vkb_trainer *trainer, const char *folder);
// trainer_state.json alone: of a run that is not to go on from this folder.
VKB_API vkb_status vkb_trainer_save_state(vkb_trainer *trainer, const char *folder);
// The log says when nothing is left to do: the first step then sets *done and runs nothing.
VKB_API vkb_status vkb_trainer_resume(vkb_trainer *trainer, const char *folder);

// Bytes by name of what training needs on the device, ended by a NULL name; *plan is freed with
// free(). Tensors that are never needed at the same time share memory: the sum of bytes - shared is
// what is allocated, weights, activations, scratch memory of operations and all. It depends on the
// device: software drivers keep attention's probabilities, GPUs do not. device NULL: a GPU, whose
// operations' scratch memory is not known. Nothing is allocated or changed on the device.
typedef struct vkb_plan_entry {
    const char *name;
    uint64_t bytes;
    uint64_t shared; // of these, in memory that entries before have already
} vkb_plan_entry;
VKB_API vkb_status vkb_trainer_plan(vkb_context *ctx, vkb_device *device,
                                    const vkb_config *config, const vkb_train_params *params,
                                    uint32_t max_seq_length, vkb_plan_entry **plan);
// Lowers params->batch_size to the largest whose plan leaves a sixth of the device's free memory.
// VKB_OUT_OF_MEMORY: a batch of one row does not.
VKB_API vkb_status vkb_trainer_fit(vkb_context *ctx, vkb_device *dev, const vkb_config *config,
                                   uint32_t max_seq_length, vkb_train_params *params);
// Halves params->batch_size until params->max_seconds have room for `steps` steps, at most down to
// `least` rows, and says how long such a step takes: a few of each size are run here and measured,
// at a learning rate of 0, so that the model keeps every bit. tok as in vkb_trainer_create.
VKB_API vkb_status vkb_trainer_fit_time(vkb_model *model, const vkb_tokenizer *tok,
                                        vkb_dataset *data, uint64_t steps, uint32_t least,
                                        vkb_train_params *params, double *seconds_per_step);

#ifdef __cplusplus
}
#endif
#endif
