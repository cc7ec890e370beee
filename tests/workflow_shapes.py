"""Plans in the shapes that workflows have: plain ones, and five published scientific workflows.

The scientific shapes follow S. Bharathi et al., Characterization of Scientific Workflows (WORKS 2008): the
same levels, and the same dependencies between them, for any number of tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from omniforge.engine.plan import Plan, Step

Needs = dict[str, list[str]]
"""Key → the keys it needs."""


def _plan(needs: Needs) -> Plan:
    return Plan(tuple(Step(key, "do", needs=tuple(before)) for key, before in needs.items()))


def _many(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


def _all(needs: Needs, keys: Iterable[str], before: Iterable[str]) -> None:
    """Each of these keys needs all of those before."""
    needed = list(before)
    for key in keys:
        needs[key] = list(needed)


def _pairwise(needs: Needs, keys: Iterable[str], before: Iterable[str]) -> None:
    """Each of these keys needs its partner in the level before."""
    for key, partner in zip(keys, before, strict=True):
        needs[key] = [partner]


def chain(tasks: int) -> Plan:
    keys = _many("link", tasks)
    return _plan({key: keys[max(0, index - 1) : index] for index, key in enumerate(keys)})


def fan(tasks: int) -> Plan:
    needs: Needs = {"split": []}
    middle = _many("part", tasks - 2)
    _all(needs, middle, ["split"])
    _all(needs, ["join"], middle)
    return _plan(needs)


def diamond(tasks: int) -> Plan:
    """Diamonds behind each other: one, two, one, two, …"""
    needs: Needs = {"top-0": []}
    for number in range((tasks - 1) // 3):
        _all(needs, [f"left-{number}", f"right-{number}"], [f"top-{number}"])
        _all(needs, [f"top-{number + 1}"], [f"left-{number}", f"right-{number}"])
    return _plan(needs)


def random_dag(tasks: int) -> Plan:
    rng, keys = random.Random(tasks), _many("node", tasks)
    needs = {key: rng.sample(keys[:index], min(index, rng.randint(0, 3))) for index, key in enumerate(keys)}
    mixed = list(needs.items())
    rng.shuffle(mixed)
    return _plan(dict(mixed))


def montage(tasks: int) -> Plan:
    """Mosaics of the sky: images are projected, overlaps compared, the background taken off, all added."""
    images = max(3, (tasks - 6) // 4)
    project, background = _many("mProjectPP", images), _many("mBackground", images)
    needs: Needs = {key: [] for key in project}
    overlaps = [(a, b) for gap in (1, 2) for a, b in zip(project, project[gap:], strict=False)]
    diff = _many("mDiffFit", len(overlaps))
    needs |= {key: list(pair) for key, pair in zip(diff, overlaps, strict=True)}
    _all(needs, ["mConcatFit"], diff)
    _all(needs, ["mBgModel"], ["mConcatFit"])
    needs |= {key: ["mBgModel", image] for key, image in zip(background, project, strict=True)}
    _all(needs, ["mImgtbl"], background)
    _all(needs, ["mAdd"], ["mImgtbl"])
    _all(needs, ["mShrink"], ["mAdd"])
    _all(needs, ["mJPEG"], ["mShrink"])
    return _plan(needs)


def epigenomics(tasks: int) -> Plan:
    """Reads of a sequencer: per lane split, four steps for each part, merged; then indexed for the genome."""
    lanes, needs = 4, Needs()
    parts = max(1, (tasks - 3 - 2 * lanes) // (4 * lanes))
    for lane in range(lanes):
        needs[f"fastQSplit-{lane}"] = []
        level = [f"filterContams-{lane}-{part}" for part in range(parts)]
        _all(needs, level, [f"fastQSplit-{lane}"])
        for name in ("sol2sanger", "fastq2bfq", "map"):
            following = [f"{name}-{lane}-{part}" for part in range(parts)]
            _pairwise(needs, following, level)
            level = following
        _all(needs, [f"mapMerge-{lane}"], level)
    _all(needs, ["mapMerge"], [f"mapMerge-{lane}" for lane in range(lanes)])
    _all(needs, ["maqIndex"], ["mapMerge"])
    _all(needs, ["pileup"], ["maqIndex"])
    return _plan(needs)


def cybershake(tasks: int) -> Plan:
    """Earthquake hazard of a site: seismograms from strain tensors, their peaks, and two archives of all."""
    tensors = _many("ExtractSGT", 4)
    needs: Needs = {key: [] for key in tensors}
    count = (tasks - 6) // 2
    synthesis, peaks = _many("SeismogramSynthesis", count), _many("PeakValCalcOkaya", count)
    needs |= {key: [tensors[number % len(tensors)]] for number, key in enumerate(synthesis)}
    _pairwise(needs, peaks, synthesis)
    _all(needs, ["ZipSeis"], synthesis)
    _all(needs, ["ZipPSA"], peaks)
    return _plan(needs)


def inspiral(tasks: int) -> Plan:
    """Gravitational waves: templates are matched in each piece of data, coincidences sought, twice over."""
    size = 9
    groups = max(1, tasks // (4 * size + 2))
    needs: Needs = {}
    for group in range(groups):
        level: list[str] = []
        for name in ("TmpltBank", "Inspiral"):
            following = [f"{name}-{group}-{number}" for number in range(size)]
            if level:
                _pairwise(needs, following, level)
            else:
                _all(needs, following, [])
            level = following
        _all(needs, [f"Thinca-{group}"], level)
        trig = [f"TrigBank-{group}-{number}" for number in range(size)]
        _all(needs, trig, [f"Thinca-{group}"])
        second = [f"Inspiral2-{group}-{number}" for number in range(size)]
        _pairwise(needs, second, trig)
        _all(needs, [f"Thinca2-{group}"], second)
    return _plan(needs)


def sipht(tasks: int) -> Plan:
    """The search for small RNAs: many small scans, a few large ones, all for one annotation."""
    patser = _many("Patser", max(1, tasks - 12))
    needs: Needs = {key: [] for key in patser}
    _all(needs, ["PatserConcat"], patser)
    searches = ["Transterm", "Findterm", "RNAMotif", "Blast"]
    _all(needs, searches, [])
    _all(needs, ["SRNA"], searches)
    blasts = ["FFNParse", "BlastSynteny", "BlastCandidate", "BlastQRNA", "BlastParalogues"]
    _all(needs, blasts, ["SRNA"])
    _all(needs, ["SRNAAnnotate"], [*blasts, "PatserConcat"])
    return _plan(needs)


SHAPES: dict[str, Callable[[int], Plan]] = {
    "chain": chain,
    "fan": fan,
    "diamond": diamond,
    "random": random_dag,
    "montage": montage,
    "epigenomics": epigenomics,
    "cybershake": cybershake,
    "inspiral": inspiral,
    "sipht": sipht,
}
