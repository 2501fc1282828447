// What evaluation over drawn masks (evaluate.c) and pseudo-perplexity (pseudo.c) share.
#ifndef VKB_TRAIN_EVALUATE_H
#define VKB_TRAIN_EVALUATE_H

#include "train/trainer.h"

enum { EVALUATE_BATCH_SIZE = 8 };       // rows a pass, by default
enum { EVALUATE_NOT_PREDICTED = -100 }; // the label of such a token, as transformers has it

// VKB_FAILED when the sum of losses is no number: hits would be counted of comparisons with NaN.
vkb_status evaluate_check_loss(const vkb_model *model, double loss);

#endif
