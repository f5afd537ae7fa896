"""Writes docs/experiments.md from results: what was done, what was found in short, and a chapter per question; pure."""

from benchmarks.experiments import chapters, wording
from benchmarks.experiments.chapters import Results
from benchmarks.experiments.wording import NONE, grid, listed, prose, share

PAPER = "paper, Serengeti, sequence split"
PAPER_SAYS = {
    "events": "events +0.5 points on average; ResNet-152 92.1 → 92.8 %",
    "ensemble": "nine networks 93.6 %, the best of them 92.1 %",
    "coverage": "at 0.99: empty filter 99.7 % right on 73 %, species 95 % on 90 %",
    "imbalance": "rhinoceros 0 → about 40 % (weighted), about 80 % (oversampled); overall accuracy about the same",
    "thresholds": "96.6 % right on 96.9 %, at places that were trained on",
    "shuffled": NONE,
    "erased": NONE,
    "unknown": "7 of 10 unknown species flagged (Miao et al. 2019, species by species)",
}
QUESTIONS = (
    ("events", "Do events beat photographs?", wording.of_events),
    ("ensemble", "Do ensembles beat their members?", wording.of_ensembles),
    ("coverage", "Are sure answers righter ones?", wording.of_coverage),
    ("imbalance", "What helps rare species?", wording.of_imbalance),
    ("thresholds", "Do thresholds carry over to unseen places?", wording.of_thresholds),
    ("shuffled", "Control: labels dealt out at random", wording.of_shuffled),
    ("erased", "Control: animals erased", wording.of_erased),
    ("unknown", "Can unknown species be flagged?", wording.of_unknown),
)


def page(results: Results) -> str:
    """Return the page."""
    parts = [
        _opening(results),
        _summary(results),
        chapters.events(results["events"]),
        chapters.ensemble(results["ensemble"]),
        chapters.coverage(results["coverage"]),
        chapters.imbalance(results["imbalance"]),
        chapters.thresholds(results["thresholds"], results["calibration"]),
        chapters.shuffled(results["shuffled"]),
        chapters.erased(results["erased"]),
        chapters.unknown(results["unknown"]),
        _worlds(results),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(results: Results) -> str:
    settings, machine, effort = results["settings"], results["machine"], results["effort"]
    world, first = settings["world"], results["worlds"][0]
    seeds = listed([str(seed) for seed in settings["seeds"]])
    tall, wide = settings["crop"]
    busy = machine["load"] > effort["processes"] + 0.5
    standard = settings["name"] == "standard"
    warning = (
        "" if standard else "**This is the quick run: it shows that everything works; its figures mean nothing.**\n\n"
    )
    points = [
        f"""Worlds: {len(settings["seeds"])} (seeds {seeds}), each with {world["seen"]} places to train on,
        {world["validation"]} to validate on and {world["unseen"]} to test on, {len(first["known"])} known and
        {len(first["unknown"])} unknown species. The commonest species is {world["rarest"]:g} times as frequent as the
        rarest; {share(world["blanks"])} of the triggers are blank; events have one to three photographs, and at each but
        the first the animal has left by a chance of {share(world["leaving"])}.""",
        """Split: whole events at the training places ("seen"), whole places for validation and test ("unseen").
        Natural frequencies unless "balanced" is said.""",
        f"""Networks: {effort["networks"]} of `thin_resnet10`, from scratch, {settings["epochs"]} epochs
        ({settings["empty_epochs"]} for the empty filter), batches of 64, crops of {tall} x {wide} pixels, the last weights.
        Temperatures are fitted on validation unless it is said otherwise.""",
        f"""Machine: {machine["processor"]}, {machine["cores"]} cores; {effort["processes"]} networks side by side with a
        thread each; {effort["drawing_minutes"]:g} minutes of {effort["of"]} for drawing and decoding and
        {effort["training_minutes"]:g} for training and looking. Load at the end {machine["load"]:g}:
        {"other work shared the cores" if busy else "no other work to speak of"}. Python {machine["python"]},
        torch {machine["torch"]}, numpy {machine["numpy"]}.""",
    ]
    return "\n\n".join(
        (
            "# The standing experiment",
            warning
            + prose(
                """What holds of the papers' claims on generated worlds. The scenes are drawn - made-up animals before
                made-up landscapes - so **no figure here is one of real photographs**, and none says how well a model would
                do on yours. What can be learned is a direction: does this help, does that carry over, where everything is
                known because it was put there."""
            ),
            f"```sh\npython -m benchmarks experiments{'' if standard else ' --quick'}\n```",
            prose(
                f"""wrote this page, its pictures and [results.json](experiments/results.json), from which every number
                below is taken. Intervals are 95 % of {settings["rounds"]:,} bootstrap rounds over whole events, paired where
                two are compared, and averaged over the worlds. They do not cover what another world or another network would
                change; for that the value of each world stands beside them. The column "{PAPER}" is what the papers report
                on other data; nothing of it is reproduced here."""
            ),
            "\n".join(f"* {prose(each)}" for each in points),
        )
    )


def _summary(results: Results) -> str:
    rows = []
    for number, (key, question, function) in enumerate(QUESTIONS, 1):
        _, outcome = function(results[key])
        rows.append([f"{number}. {question}", outcome, PAPER_SAYS[key]])
    return "## In short\n\n" + grid(("question", "found here", PAPER), rows, left=3)


def _worlds(results: Results) -> str:
    columns = ("seen", "aside", "validation", "unseen")
    rows = [
        [
            str(world["seed"]),
            listed([f"{name} ({number})" for name, number in world["known"]]),
            listed(world["unknown"]),
            *(f"{world['photographs'][key]:,} / {world['events'][key]:,}" for key in columns),
        ]
        for world in results["worlds"]
    ]
    head = (
        "seed", "known species (training photographs)", "unknown species", "test, seen places", "aside, seen places",
        "validation", "test, unseen places",
    )  # fmt: skip
    return "\n\n".join(
        (
            "## The worlds",
            prose(
                """Species that are common in one world are rare or unknown in another. Photographs / events at natural
                frequencies, blanks included; the events aside are for choosing thresholds at seen places."""
            ),
            grid(head, rows, left=3),
            "`ctwatch train scenes --world --seed N` draws such a world, `--erased` the same without its animals.",
        )
    )
