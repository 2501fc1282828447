// A vocabulary that grows: new rows of the word embeddings, new elements of the output bias.
//
// As transformers' resize_token_embeddings (4.46 and newer): a new row is drawn from a normal
// distribution with the mean of the old rows and 1e-9 of their covariance (Hewitt 2021, "Initializing
// new word embeddings for pretrained language models"), so that before any training no new token changes
// what is predicted by much; the bias of the tied decoder gets zeros.
#include "bert/bert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The covariance's share, and the old rows that a new one is a sum of.
static const double share = 1e-9;
enum { DRAWS = 256 };

// Mean of the rows of `from`, [rows][cols]; row has room for one.
static void rows_mean(const hf_tensor *from, float *row, double *mean)
{
    const uint64_t rows = from->shape[0], cols = from->shape[1];
    memset(mean, 0, cols * sizeof(*mean));
    for (uint64_t r = 0; r < rows; r++) {
        hf_tensor_to_f32(from, r * cols, cols, row);
        for (uint64_t c = 0; c < cols; c++)
            mean[c] += row[c];
    }
    for (uint64_t c = 0; c < cols; c++)
        mean[c] /= (double)rows;
}

// mean + sqrt(share / DRAWS) * the sum of g * (old row - mean), g ~ N(0, 1), the old rows drawn evenly:
// its covariance is share times theirs exactly, and so many draws make it as good as normal.
static void row_draw(const hf_tensor *from, const double *mean, uint64_t seed, uint32_t number,
                     float *row, double *sum)
{
    const uint64_t rows = from->shape[0], cols = from->shape[1];
    float normal[DRAWS];
    bert_normal(seed, (philox4){{0, 0, number, PHILOX_GROW}}, sqrt(share / DRAWS), DRAWS, normal);
    memcpy(sum, mean, cols * sizeof(*sum));
    // Of too few rows the covariance has no full rank; transformers takes the mean alone then.
    for (uint32_t k = 0; k < DRAWS && rows > cols; k++) {
        const philox4 r = philox(seed, (philox4){{k / 4, 1, number, PHILOX_GROW}});
        const uint64_t which = (uint64_t)r.v[k % 4] * rows >> 32;
        hf_tensor_to_f32(from, which * cols, cols, row);
        for (uint64_t c = 0; c < cols; c++)
            sum[c] += normal[k] * (row[c] - mean[c]);
    }
    for (uint64_t c = 0; c < cols; c++)
        row[c] = (float)sum[c];
}

vkb_status bert_grow_tensor(vkb_model *model, const bert_tensor *t, const hf_tensor *from,
                            uint64_t seed)
{
    vkb_status status = VKB_OK;
    const uint64_t old = from->count * sizeof(float), cols = t->cols;
    float *added = calloc(1, t->bytes - old), *row = malloc(cols * sizeof(*row));
    double *mean = malloc(2 * cols * sizeof(*mean));
    if (!added || !row || !mean)
        BASE_TRY(vkb_fail_memory(gpu_context(model->dev), t->bytes - old, t->name));
    if (t->rows) {
        const uint32_t first = (uint32_t)from->shape[0];
        rows_mean(from, row, mean);
        for (uint32_t i = first; i < t->rows; i++) {
            row_draw(from, mean, seed, i - first, row, mean + cols);
            memcpy(added + (i - first) * cols, row, cols * sizeof(*row));
        }
    }
    BASE_TRY(gpu_upload(
        model->dev, gpu_part(bert_params_view(&model->weights, t), old, t->bytes - old), added));
cleanup:
    free(added);
    free(row);
    free(mean);
    return status;
}
