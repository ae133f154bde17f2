"""The words of REPRODUCING.md: what it is, and known deviations."""

from __future__ import annotations

INTRO = """\
# Reproducing the paper

Every table, figure and testable sentence of *Semantic-Aware Knowledge Preservation for Zero-Shot Sketch-Based Image
Retrieval* (ICCV 2019), one command each: what it is made from, what came out, and what was not run. This page is
generated from the rows in `results/` by `make tables`; change it there.

- `mini` runs on a generated miniature world. Its numbers show that the pipeline works; they are no evidence for the
  paper, and its verdicts are verdicts on the miniature world.
- `small` runs on 25 + 25 real images a class of Sketchy, with EfficientNet-Lite0. It is real evidence on small data:
  orders and gains can be compared with the paper's, absolute figures cannot.
- `paper` is the paper's own size. It needs its data sets, its networks' weights and a GPU (README).

`make ITEM PRESET=small SEEDS=0,1,2` makes an item, `make all` all of them, `make status` says what is done, stale or
missing. Runs that items share are trained once. In `small` and `paper` the committed rows of a run stand in for a run
that is not here, and the item says so; `RERUN=1` trains it. `mini` is always made from runs.
"""

DEVIATIONS = """\
The official code and the paper differ in places, and both leave things open. What is done here, by the name of the
setting (`sakerepro train --help`), and what it changes:

| | here | elsewhere | what it changes |
| --- | --- | --- | --- |
| domain code | photo 0, sketch 1 (the paper) | the code has sketch 0, photo 1 | names only; converted weights are swapped |
| `keep_bias` | the pretrained classifier's bias starts the original head | the code drops it | the start of L_SAKE: with the bias the student's original logits are the teacher's best rank-d approximation |
| `semantics` | `path`: WordNet path similarity of curated synsets (the paper) | `thresholded`: 1 for kinds of each other, 0 below 0.2 (the code, where 49 of 220 TU-Berlin rows are all zero because a name did not resolve) | the target of L_SAKE: path similarities are dense and small, thresholded ones sparse and large |
| `augmentation` | `official` in `paper`: about the top-left corner, filled with black. `centred` in `mini` and `small`: about the centre, sketches filled with white | the code has `official` only | sketches get no black wedges |
| `precision` | `bfloat16` (autocast) in `paper` and `small`, `float32` in `mini` | the code: float32 | rounding; `precision=float32` undoes it: at about a third of the speed on a GPU, many times faster on a CPU without AVX-512 |
| `select` | `val` in `paper`: the epoch that is best on held-out sketches of seen classes (`zeroshot2` holds none out: the last). `last` in `mini` and `small` | the code: `val` | seen-class accuracy is no guide to unseen classes on small data |
| metrics | `standard`: plain average precision, AP@k over min(k, R), P@k over k; ties count by their expected value | the code interpolates precision and takes ties in file order; SEM-PCYC divides by the relevant items found | on the same features mAP@200 was 0.512, 0.517 and 0.763; on the same codes mAP lay between 0.217 and 0.297 by the order of ties. Both conventions are in every run's metrics |
| printed figures | the `diff` columns hold our `standard` numbers against the paper's; the claims `*.numbers` judge ours by the official code's convention | the paper does not say how its mAP is defined; its code interpolates | on small data the same ranking reads 0.015 higher in real values and 0.02 in codes |
| codes | ITQ fitted on the training features (the paper) | none in the code; others fit on test images | fitting on the gallery looks at the test set |
| length of codes (Table 2) | features as long as the code | "512-d to bits" beside it, where 512-d runs exist | the paper does not say which it used |
| Sketchy's lists | as they are: 12,500 photos are listed twice | `dedupe=true` drops them | duplicates in the gallery raise mAP a little for all methods |
| random splits | classes with at least 400 photos (`min_photos`; 20 in `mini` and `small`) | the code's Sketchy split holds `wheelchair` with 378 | |
| original domain (Table 5, Figure 5) | a class is inside if it is an original synset, contains one or is contained in one | the paper does not say; of the 30 TU-Berlin test classes 13 are synsets of ImageNet-1k, 10 more are related | which classes count as IN |
| ZS-PBIR of Table 5 | the gallery holds all unseen classes, the mean is over the queries of one kind. In `mini`, where no unseen class is inside, IN is the original domain's own held-out photos | the paper does not say | the level of both columns, not their order |
| linear probe | on the features that the pretrained classifier reads, logistic regression, penalty chosen on training photos; of ImageNet 100 photos a class | the paper trains on all of ImageNet | the level; `small` probes 200 classes of ImageNet at 64 px |
| baseline of Figure 5 | L_B with the same gated network, so that only the loss differs | the paper takes an ungated SE-ResNet-50 with L_B | the gain is that of the loss alone |
| Figure 4's claim | silhouettes of the features themselves, by cosine | the paper looks at a t-SNE | a number instead of an impression |
| cost | steps of both losses timed in turn on one machine, as ratios to one decimal; the seconds are in `cost.json` | the paper gives no figure; "moderate" is read as at most half more | |
| the nine other systems | written from their papers, with the network, data, start and number of images of SAKE, features of the L_B run where they are frozen, WordNet vectors in place of word vectors, 64-d where a length is free; the head of each file in `sakerepro/methods/` lists what was adapted | their own networks, data splits and budgets; Table 1 quotes several papers | absolute figures, and perhaps orders: some were made for longer trainings |
| small: network | EfficientNet-Lite0 from a pinned package, with CSE gates that start as the identity; its first two stages are frozen and shared with the teacher, the same network | CSE-ResNet-50, SE-ResNet-50 | absolute figures |
| small: training | batch norm frozen, benchmark head zero at the start and at ten times the rate, fewer steps (the preset holds them all) | 20 epochs of 3,850 steps | absolute figures; settings were chosen on pseudo-unseen classes alone |
"""  # noqa: E501
