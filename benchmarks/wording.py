"""The words of docs/performance.md; its figures come from the benchmarks."""

# ruff: noqa: E501 - rows of tables

BEFORE = """# Performance

What ctwatch costs, what it was held against, and why it is built as it is. Ratios are of one run, medians over interleaved
rounds; absolute figures are those of the machine named below each table, which was no fast one. Every table can be made
anew: `python -m benchmarks NAME --keep` keeps the figures in `docs/performance/`, `python -m benchmarks page` writes this page.
No test of ctwatch measures time. What must not get slower is counted instead: files opened and listed, decodes of a
photograph, networks built, statements of a derivation, frames of a call.

## Where the time goes

One photograph of 3 megapixels (0.5 MB) through `ctwatch process`, milliseconds of one core on a quiet machine:

| step | 3 MP | 12 MP | 24 MP |
|---|---|---|---|
| read, hash (BLAKE3), header | 0.2 | 0.4 | 0.5 |
| entropy decoding, which nothing avoids | 4.9 | 14.5 | 21 |
| inverse transform at the scale that is needed | 1.5 | 2.3 | 4 |
| resize with antialiasing to 256 x 256 (by Pillow 3.1, 3.0, 5.1) | 0.6 | 0.6 | 1.3 |
| to planes, message, main process | 0.7 | 0.7 | 0.7 |
| three bundled networks in bfloat16, float32 | 5, 8 | | |

Hence: one reading of each file, one decode for all networks, at the smallest of libjpeg's scales that is still twice the
size asked for, resized in vector code; as many decoding processes as cores; the networks in the daemon, one call on each core; decoders that work
a batch ahead, so that no core waits for another; rows written in bulk. There is one concurrency model: threads that each
wait for one decoding process, one consumer that takes their results in the order of the files, and a pool that shares out
the calls of networks. Queues are bounded (the consumer asks, or nobody reads on), closing them cancels what waits. With
`read.workers = 1` and `models.threads = 1` everything happens in turn and gives the same rows.

What was tried and left out, because a benchmark did not show enough of it or it cost truth:

| idea | what came of it |
|---|---|
| decoding at once the size instead of twice | saves 1.5 of 7.5 ms at 3 MP, but 3 of 100 frames then get another species and probabilities move by up to 0.2; at twice the size by 0.023, and no decision of the filter changes (603 photographs) |
| simplejpeg in place of Pillow | 7 % of the whole, half of which Pillow gives too when it is handed the file in one piece, as it is now |
| OpenCV's area resize | 2.4 ms against Pillow's 2.9 from 1024 x 768 to 256 x 256, for a library of 150 MB; cykooz_resizer, which is in, takes 0.6 for 2 MB |
| letting cykooz_resizer look into Pillow's memory | saves 0.2 ms, but the layout of that memory is not promised; it is given bytes |
| a fork of Pillow with vector code | installs over Pillow, which torchvision asks for |
| three eighths instead of a half where that is enough | libjpeg-turbo has no vector code for it: what a smaller resize gains the transform loses |
| halving with a box before the resize | saved 1.1 of Pillow's 3 ms, and doubles the distance to decoding whole (0.4 levels instead of 0.2) |
| decoders at a lower priority, or scheduled in batches | within noise; with `SCHED_IDLE` 3 %, but then anything else on the machine stops them |
| PyTorch's or kornia-rs' resize | the first needs PyTorch in every decoding process (280 MB each), the second does not antialias (2.8 levels off) |
| larger socket buffers, shared memory for pixels | within noise: a frame is 0.2 MB |
| int8 networks | other decisions in 1 to 40 of 100 frames, by engine and network; no default can be made of it |
| inductor (`torch.compile`) | about OpenVINO's speed, but half a minute for each network and a C++ compiler at run time |
| a different batch for each machine | OpenVINO is as fast with 4 frames as with 64, and the same to the bit; larger batches only take memory |
"""
SECTIONS: dict[str, tuple[str, str]] = {
    "roofline": (
        "Against the machine's own limit",
        "`ctwatch process` end to end against the rate that decoding alone and the networks alone allow, each measured with "
        "all cores at work. `one_core_..._ms` are the steps of one photograph; `all_cores_..._ms` are core-milliseconds "
        "for each photograph with all cores at work; `ratio` is the whole over that bound. It was 0.85, 0.92 and 0.89 "
        "in three runs, as its host was more or less busy (0.82 to 0.87 with cards of 900, whose start and commit count more); the "
        "goal of 0.95 is not reached. Of one photograph's 17 to 20 core-milliseconds hash and header take 0.35, messages, threads "
        "and rows 0.8, cores that wait 0.7 (at the start, for the commit, and where one call of a network ends before the other), and "
        "decoding and networks are each some 5 per cent slower while the other shares its cache. Neither more decoding "
        "processes than cores nor other priorities change that; decoders that work two batches ahead instead of one save 0.2 "
        "of the waiting for 13 MB.",
    ),
    "naive": (
        "Against what one would write first",
        "A DataLoader with a worker per core, Pillow, torchvision's transforms, eager float32 networks and a loop of inserts: "
        "same files, same models. `ratio` is ResNet-18 at 3 megapixels; `_thrifty` compares with a program that shows its "
        "species model only what its own filter does not call blank. `difference_...` are of probabilities, scaled decoding "
        "and the engine together; `filter_decisions_equal` and `species_equal` are shares of frames. The networks are random "
        "features with fitted heads, far more sensitive than trained ones: for these ResNet-50 bfloat16 was refused for one "
        "of the two models, and answers near a threshold differ. The goals of 5 times with ResNet-18 and of 6 times at 12 "
        "megapixels are passed; most of what a goal of 10 times with ResNet-50 asks for comes from AMX units, which this processor "
        "has not.",
    ),
    "peers": (
        "Against the preprocessing of SpeciesNet and MegaDetector",
        "Processor milliseconds for each photograph of 12 megapixels, the peers' own functions called as their programs call "
        "them; all that ctwatch does with a file is counted, hash, header and message included. `ratio` is the smaller "
        "gain; an earlier run, while the host was busy, gave 4.88.",
    ),
    "inference": (
        "What runs the networks",
        "Frames per second on all cores: `instead` is eager PyTorch as one would write it, `eager_float32` ctwatch's own "
        '(batch norms folded, channels last, a core to each call), then OpenVINO. `chosen` is what `models.engine = "auto"` '
        "takes: the fastest whose probabilities are those of eager float32 (no difference above 0.03, mean at most 0.003, on "
        "made-up frames of all scales). On processors with AMX units bfloat16 gains some four times more than on this one, "
        "which has AVX-512 instructions for it; without either only float32 is tried. `first_load_s` is the trial, once for "
        "each machine and model; `later_load_s` every other start.",
    ),
    "memory": (
        "Memory",
        "Peaks of the main process in GB while a card is processed, small photographs and a cheap network, so that what "
        "grows is what is kept of each file; `resnet50_gb` is with two ResNet-50 for each task, `resnet50_trial_gb` the process "
        "that tries engines at the first start. The goal of 1.05 is not reached: what is left is what DuckDB holds of the card's one "
        "transaction until its commit, two of the three kilobytes a photograph, and the card's listing. Groups of 16,384 rows "
        "instead of 122,880, smaller blocks and smaller pieces of a card were tried: 8 MB or nothing at 20,000 photographs. "
        "Publishing a million photographs takes 30 s of one core and 0.62 GB, measured apart.",
    ),
    "scale": (
        "Growth",
        "Seconds (wall, and of all cores together with `_core_s`) at three sizes each; `_ratio` is the time at the largest "
        "size over four times that at a quarter of it, so 1 is linear. Grouping sorts frames that come in no order, which "
        "costs n log n and the processor's cache. `bytes_per_image` is the daemon's database, predictions included.",
    ),
    "startup": (
        "Small work",
        "Processor seconds of whole commands against the bare start of what they need, one photograph from command to done, "
        "an idle daemon, and a sweep over cards that are in: listed whole, and told from their folders alone. An idle sweep "
        "costs some 5 microseconds a folder, whatever it holds: 1,000 cards of 10,000 files each come to a tenth of a second. "
        "`report` without a section draws detection histories and needs numpy for them: 0.4 s, where the others take less than 0.3.",
    ),
    "training": (
        "Training",
        "`ctwatch train fit` against the same network on tensors that are already there: `ratio` is how much of that speed the "
        "loader keeps up with. `instead` decodes every JPEG anew in each pass.",
    ),
}
AFTER = """## On a GPU

`models.device = "auto"` takes a usable CUDA device or Apple's; networks then run in eager PyTorch, on CUDA in bfloat16 where
that agrees with float32 on the trial frames and is faster, in batches of 128 that are halved when memory runs out. This page
has no figures of a GPU: decoding on the device (nvJPEG), CUDA graphs and members on streams of their own are not built,
because nothing here could have shown what they bring. A processor with a few cores decodes some 50 to 100 photographs of
3 megapixels a second for each core, so that on a machine with a GPU the decoders are the limit.
"""
