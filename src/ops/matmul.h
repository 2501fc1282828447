// Families of matrix products: what the files matmul*.c share, and what tuning needs.
//
//   matmul.c        checks, families and which of their variants a product gets
//   matmul_parts.c  operands larger than one binding: products of parts
//   matmul_split.c  long sums in parts, by any family
//   matmul_epilogue.c  what follows a product, in its kernel or behind it
//   matmul_tile.c   tiles in shared memory: plain, runs on every device
//   matmul_coop.c   cooperative matrices of a subgroup, 16-bit operands
//   matmul_nv.c     cooperative matrices of a workgroup, fp16 operands
//   matmul_lanes.c  lanes that broadcast, for software drivers
//   matmul_choice.c what a product gets when it is recorded; names
//   tune.h          measuring variants
//   packed.c        weights packed for software drivers: no family, a product has them or not
//
// A family is the one place that knows its kernel: when a device admits a product (limits and
// features, never names), in which variants, and how one is recorded. Adding one: its file, and a
// line in matmul.c.
#ifndef VKB_OPS_MATMUL_H
#define VKB_OPS_MATMUL_H

#include "ops/internal.h"

// Slots of scratch memory: attention, between whose products others live, has 2 and 3.
enum { MATMUL_SCRATCH_A = 0, MATMUL_SCRATCH_B = 1, MATMUL_SCRATCH_C = 4 };

// A matrix of a batch, as stored: elements.
typedef struct matmul_operand {
    const char *name;
    gpu_view view;
    uint32_t rows, cols, ld, outer, inner; // outer, inner: the batch's strides
} matmul_operand;

// A product with its defaults filled in.
typedef struct matmul_product {
    op_matmul_params p;
    matmul_operand a, b, c;
    uint32_t batch; // products
} matmul_product;

matmul_product matmul_product_of(const op_matmul_params *params);

// One way of computing a product: a family, and numbers that mean something to it alone (tile sizes
// and the like), 0 beyond them; but the last: in how many parts the sum is split, 0: it is not
// (matmul_split.c). All of it is compared and stored as it is.
enum { MATMUL_NUMBERS = 8, MATMUL_PARTS = MATMUL_NUMBERS - 1, MATMUL_VARIANTS = 48 };
typedef struct matmul_variant {
    const char *family; // "tile", "lanes", ...
    uint32_t numbers[MATMUL_NUMBERS];
} matmul_variant;

bool matmul_variant_equal(const matmul_variant *a, const matmul_variant *b);

// Where a family collects what it has.
typedef struct matmul_list {
    matmul_variant *at;
    size_t count, most;
} matmul_list;

typedef struct matmul_family {
    const char *name;
    // How much it is worth trying first here, before anything is measured; 0: it does not admit
    // this.
    int (*rank)(const vkb_device_info *info, const matmul_product *product);
    // Its variants, the best guess first.
    void (*variants)(const vkb_device_info *info, const matmul_product *product, matmul_list *list);
    void (*run)(gpu_stream *s, const matmul_product *product, const uint32_t *numbers);
    // Whether its kernel does what follows this product (op_then), too; NULL: never. Else `run`
    // gets a product that nothing follows.
    bool (*fuses)(const vkb_device_info *info, const matmul_product *product,
                  const uint32_t *numbers);
} matmul_family;

extern const matmul_family matmul_tile, matmul_lanes, matmul_coop, matmul_nv;

// Adds a variant with these numbers, if there is room.
#define matmul_offer(list, family, ...)                                                            \
    matmul_offer_((list), (family), (const uint32_t[MATMUL_NUMBERS]){__VA_ARGS__})
void matmul_offer_(matmul_list *list, const matmul_family *family, const uint32_t *numbers);

// The variants that a device admits for a product, the best guess first; how many were written.
// Views of params need no buffer. One whose operands are packed or beyond a binding has none to
// choose from.
size_t matmul_variants(const vkb_device *dev, const op_matmul_params *params, matmul_variant *out,
                       size_t most);
// Records the product by a variant of matmul_variants; another fails the stream with a sentence.
void matmul_run(gpu_stream *s, const op_matmul_params *params, const matmul_variant *variant);
// The same of a variant that is admitted for products like it but for their size. apart: what
// follows is done by kernels of its own.
void matmul_run_like(gpu_stream *s, const op_matmul_params *params, const matmul_variant *variant,
                     bool apart);
// Whether the variant's kernel does what follows, too.
bool matmul_does_then(const vkb_device *dev, const op_matmul_params *params,
                      const matmul_variant *variant);

// What a choice depends on, beside device and driver.
typedef struct matmul_key {
    uint32_t layout, m, n, k, batch;
    uint32_t a, b, c; // gpu_type of each
    uint32_t flags;   // MATMUL_ACCUMULATES, MATMUL_HAS_BIAS, MATMUL_IN_EIGHTS
} matmul_key;
enum { MATMUL_ACCUMULATES = 1, MATMUL_HAS_BIAS = 2, MATMUL_IN_EIGHTS = 4 };
matmul_key matmul_key_of(const op_matmul_params *params);

// ---- matmul_choice.c ----

// "NT 2048x512x128 f32-f32 bias": all that the choice of a variant may depend on; "lanes 48".
typedef struct matmul_name {
    char text[96];
} matmul_name;
matmul_name matmul_name_of(const op_matmul_params *params);
matmul_name matmul_variant_name(const matmul_variant *variant);
// "coop 128 128 64 64 64 0 32 then gelu": of notes, a variant whose kernel does what follows, too.
matmul_name matmul_then_name(const matmul_variant *variant, op_then_kind kind);
// The variant that a recording takes; false: each that the device admits has a fault.
bool matmul_choose(const vkb_device *dev, const op_matmul_params *params, matmul_variant *out);

// ---- For the families ----

struct matmul_params matmul_push(const matmul_product *product);
double matmul_flops(const matmul_product *product);
double matmul_bytes(const matmul_product *product); // c is read only where it is added to
// All rows begin and end at a multiple of `elements`.
bool matmul_aligned(const matmul_operand *operand, uint32_t elements);
// FORMAT of shaders/row4.glsl.
uint32_t matmul_format(const matmul_operand *operand);

// matmul_split.c: in how many parts a product's sum should be split, 1: none; the parts as a batch,
// c still without memory; and their run.
uint32_t matmul_parts(const vkb_device_info *info, const matmul_product *product);
matmul_product matmul_part(const matmul_product *product, uint32_t parts);
void matmul_run_parts(gpu_stream *s, const matmul_product *product, const matmul_family *family,
                      const uint32_t *numbers);

// matmul_epilogue.c
//
// What a kernel that includes shaders/epilogue.glsl is given. Empty views where nothing follows.
typedef struct matmul_fused {
    gpu_view bias;                          // in place of the product's
    gpu_view step, beside, second, partial; // bindings 4 to 7
    uint32_t constant;                      // EPILOGUE
    uint32_t chunks;                        // of partial sums
} matmul_fused;
// rows: of a chunk of the kernel's sums.
matmul_fused matmul_fuse(gpu_stream *s, const matmul_product *product, uint32_t rows);
double matmul_fused_bytes(const matmul_product *product, const matmul_fused *fused);
// To be called behind the kernel.
void matmul_fused_end(gpu_stream *s, const matmul_product *product, const matmul_fused *fused);

// False: the stream has failed.
bool matmul_then_fits(gpu_stream *s, const matmul_product *product);
bool matmul_is_fused(const vkb_device *dev, const matmul_product *product,
                     const matmul_family *family, const matmul_variant *variant);
// Behind a product whose kernel does not do it: by kernels of their own.
void matmul_then_apart(gpu_stream *s, const op_matmul_params *params);

// packed.c
void matmul_run_packed(gpu_stream *s, const matmul_product *product);

#endif
