"""Class to synset to similarity, against NLTK's WordNet (skipped where that is not installed) and by hand."""

from __future__ import annotations

import gzip
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor

import nltk
import numpy as np
import pandas as pd
import pytest
from data_room import real_data
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.corpus.util import LazyCorpusLoader
from timm.data import ImageNetInfo

from sakerepro import paths, wordnet
from sakerepro.data.known import datasets
from sakerepro.data.lists import lines_of
from sakerepro.errors import ConfigError, DataError
from sakerepro.semantics import (
    Resolution,
    class_synset,
    imagenet_overlap,
    imagenet_wnids,
    leacock_chodorow,
    resolve_classes,
    same_classes,
    semantic_similarity,
)
from sakerepro.wordnet import __main__ as make
from sakerepro.world.classes import CLASSES

DOG, CAT, CANINE, FELINE, CARNIVORE = "n02084071", "n02121620", "n02083346", "n02120997", "n02075296"
SEA_LION, SEAL, ENTITY = "n02077923", "n02076196", "n00001740"


def nltk_as_new(monkeypatch, *folders):
    """As if NLTK had loaded nothing yet, with these data folders alone."""
    monkeypatch.setattr(nltk.data, "path", list(folders))
    monkeypatch.setattr(nltk.corpus, "wordnet", LazyCorpusLoader("wordnet", WordNetCorpusReader, None))


@pytest.fixture
def no_nltk(monkeypatch):
    """A machine whose NLTK has no WordNet."""
    nltk_as_new(monkeypatch)


def curated(dataset: str) -> pd.DataFrame:
    record = datasets()[dataset]
    return pd.read_csv(record.file.parent / record.classes)


@pytest.fixture
def official_names():
    """The names in a list of the official code: classes, or files."""
    lists = real_data("sake-lists")
    return lambda path: [line.rpartition(" ")[0] for _, line in lines_of(lists / path)]


def noun(corpus, wnid):
    return corpus.synset_from_pos_and_offset("n", int(wnid[1:]))


def below(synset):
    return set(synset.closure(lambda s: s.hyponyms() + s.instance_hyponyms()))


# ---- similarity ------------------------------------------------------------------------------------------------------


def test_similarity_of_a_chain_worked_out_by_hand():
    # dog - canine - carnivore - feline - cat: 4 edges; dog - domestic animal - animal is longer
    wnids = [DOG, CANINE, CARNIVORE, FELINE, CAT]
    assert semantic_similarity([DOG], wnids).tolist() == [[1, 1 / 2, np.float32(1 / 3), 1 / 4, np.float32(1 / 5)]]
    # 1/5 is not above 0.2, and 1/4 (feline) is: it lies in another branch; canine and carnivore contain dog
    assert semantic_similarity([DOG], wnids, "thresholded").tolist() == [[1, 1, 1, 0.25, 0]]
    want = [-math.log(edges / 38) for edges in (1, 2, 3, 4, 5)]
    np.testing.assert_allclose(leacock_chodorow([DOG], wnids)[0], want, rtol=1e-6)


@pytest.mark.parametrize("dataset", ["tuberlin", "sketchy", "mini"])
def test_sampled_pairs_equal_nltk_to_the_last_bit(dataset, nltk_wordnet):
    names = [c.name for c in CLASSES] if dataset == "mini" else curated(dataset)["class"].tolist()
    original = imagenet_wnids()
    path = semantic_similarity(names, original, dataset=dataset)
    near = leacock_chodorow(names, original, dataset=dataset)
    rows = [noun(nltk_wordnet, r.wnid) for r in resolve_classes(names, dataset)]
    rng = np.random.default_rng(0)
    for i, j in zip(rng.integers(len(names), size=500), rng.integers(len(original), size=500), strict=True):
        column = noun(nltk_wordnet, original[j])
        assert path[i, j] == np.float32(rows[i].path_similarity(column)), (names[i], original[j])
        edges = rows[i].shortest_path_distance(column)  # NLTK's own lch_similarity first looks at every noun
        assert near[i, j] == np.float32(-math.log((edges + 1) / 38)), (names[i], original[j])


def test_thresholded_rule_equals_a_naive_loop_over_nltk(nltk_wordnet):
    names = ["dog", "mushroom", "bird", "hot air balloon", "lobster", "person", "table", "crane", "alarm clock"]
    original = imagenet_wnids()[::3] + (SEAL, CARNIVORE)
    got = semantic_similarity(names, original, "thresholded")
    columns = [noun(nltk_wordnet, wnid) for wnid in original]
    columns_below = [below(column) for column in columns]
    seen_values = set()
    for i, resolved in enumerate(resolve_classes(names)):
        row = noun(nltk_wordnet, resolved.wnid)
        row_below = below(row)
        for j, column in enumerate(columns):
            similar = row.path_similarity(column)
            if row == column or row in columns_below[j] or column in row_below:
                want = 1.0
            else:
                want = similar if similar > 0.2 else 0.0
            assert got[i, j] == np.float32(want), (names[i], original[j])
            seen_values.add(round(want, 3))
    assert {0.0, 0.25, 0.333, 1.0} <= seen_values  # each branch of the rule was taken


def test_shapes_of_nothing_and_of_one():
    assert semantic_similarity([], [DOG, CAT]).shape == (0, 2)
    assert semantic_similarity(["dog"], [CAT, DOG]).dtype == np.float32
    assert semantic_similarity(["dog"], []).shape == (1, 0)
    assert semantic_similarity(["dog", "dog"], [DOG]).tolist() == [[1], [1]]


def test_a_bad_wnid_is_named(nltk_wordnet):
    with pytest.raises(DataError, match="'dog.n.01' is no WordNet id"):
        semantic_similarity(["dog"], ["dog.n.01"])
    with pytest.raises(DataError, match="'n02084072' is no noun of WordNet 3.0"):
        semantic_similarity(["dog"], ["n02084072"])


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_shipped_table_is_what_nltk_gives_today(nltk_wordnet):
    shipped = paths.package_data("wordnet.csv.gz").read_bytes()
    assert gzip.decompress(shipped) == gzip.decompress(make.table_bytes()), "run `python -m sakerepro.wordnet build`"
    assert shipped[4:8] == b"\0\0\0\0"  # no time stamp: the same bytes from the same content
    near = noun(nltk_wordnet, DOG).lch_similarity(noun(nltk_wordnet, CAT))  # makes NLTK work out the depth
    assert leacock_chodorow([DOG], [CAT])[0, 0] == np.float32(near)


def test_shipped_table_is_closed_upwards_and_has_one_root():
    graph = wordnet.table()
    assert [wnid for wnid, node in graph.items() if not node.parents] == [ENTITY]
    assert all(parent in graph for node in graph.values() for parent in node.parents)
    assert set(make.named_wnids()) <= set(graph)


def test_imagenet_list_is_timms():
    assert list(imagenet_wnids()) == ImageNetInfo().label_names()


def test_curated_synset_names_belong_to_their_ids():
    for row in pd.concat([curated("tuberlin"), curated("sketchy")]).itertuples():
        assert wordnet.table()[row.wnid].synset == row.synset, row


@pytest.mark.parametrize(
    "dataset, folder",
    [("tuberlin", "TUBerlin/zeroshot"), ("sketchy", "Sketchy/zeroshot1"), ("sketchy", "Sketchy/zeroshot2")],
)
def test_every_official_class_is_curated(dataset, folder, official_names):
    names = official_names(f"{folder}/cname_cid.txt.gz") + official_names(f"{folder}/cname_cid_zero.txt.gz")
    assert sorted(names) == sorted(curated(dataset)["class"].tolist())
    assert {r.source for r in resolve_classes(names, dataset)} == {"table"}


def test_sketchy_synsets_agree_with_the_ids_in_its_file_names(nltk_wordnet, official_names):
    """Photos of Sketchy are named after their ImageNet synset: the class has to be, contain or lie in one of them."""
    ids: dict[str, set[str]] = {}
    for part in ("train", "zero"):
        for file in official_names(f"Sketchy/zeroshot1/all_photo_filelist_{part}.txt.gz"):
            folder, name = file.split("/")[-2:]
            if wnid := re.match(r"n\d{8}(?=_)", name):
                ids.setdefault(folder, set()).add(wnid[0])
    assert len(ids) == 125
    unrelated = set()
    for resolved in resolve_classes(sorted(ids), "sketchy"):
        wnids = sorted(ids[resolved.name])
        if not wordnet.contains(wordnet.graph_with(wnids), [resolved.wnid], wnids).any():
            unrelated.add(resolved.name)
    assert unrelated == {"mushroom"}  # named after the fungi here; the class is ImageNet's mushroom, the vegetable


OTHER_SENSES = "saw.n.02 tiger.n.02 raccoon.n.02 dolphin.n.02 scorpion.n.03 lobster.n.02 cow.n.01".split()


@pytest.mark.parametrize(
    "dataset, name, synset",
    [
        *(("sketchy", synset.partition(".")[0], synset) for synset in OTHER_SENSES),
        ("tuberlin", "mouse (animal)", "mouse.n.01"),
        ("tuberlin", "computer-mouse", "mouse.n.04"),
        ("tuberlin", "santa claus", "santa_claus.n.01"),
        ("mini", CLASSES[0].name, None),
    ],
)
def test_words_with_a_misleading_first_sense(dataset, name, synset):
    (resolved,) = resolve_classes([name], dataset)
    assert resolved.source == "table" and resolved.synset == (synset or wordnet.table()[CLASSES[0].wnid].synset)


# ---- own class names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, wnid",
    [
        ("Oak-Trees", "n12268246"),
        ("oak_tree", "n12268246"),
        ("  GOLDEN  retriever ", "n02099601"),
        ("wolves", "n02114100"),
        ("crane (bird)", "n02012849"),
        ("bass (animal)", "n02565573"),
    ],
)
def test_own_names_are_normalised(name, wnid, nltk_wordnet):
    (resolved,) = resolve_classes([name])
    assert (resolved.wnid, resolved.source) == (wnid, "wordnet")


def test_choice_between_senses_is_told(nltk_wordnet):
    (bass,) = resolve_classes(["bass"])
    assert bass.synset == nltk_wordnet.synsets("bass", pos="n")[0].name()
    assert "the first of 8 noun senses, others: " in bass.note
    assert all(f" {s.name()} (" in bass.note for s in nltk_wordnet.synsets("bass", pos="n")[1:5])
    assert "the only noun sense" in resolve_classes(["wolfhound"])[0].note


def test_unresolved_names_get_near_misses_and_a_way_out(nltk_wordnet):
    resolved = resolve_classes(["dog", "strabery", "qqxzy"])
    assert [bool(r) for r in resolved] == [True, False, False]
    assert "n07745940 (strawberry.n.01)" in resolved[1].note
    with pytest.raises(DataError, match="(?s)2 of 3 classes have no WordNet synset.*strawberry.*'qqxzy'.*synsets.csv"):
        semantic_similarity(["dog", "strabery", "qqxzy"], [DOG])
    assert not resolve_classes([" "])[0]


def test_synsets_by_hand_win_over_tables(tmp_path):
    hand = {"My_Dog": DOG, "saw": CAT}
    file = tmp_path / "synsets.csv"
    file.write_text("class,wnid\nMy_Dog,n02084071\n" + f"saw, {CAT}\n", encoding="utf-8-sig")
    for way in ({"synsets": hand}, {"synsets": file}, {"synsets": tmp_path}, {"dataset": str(tmp_path)}):
        resolved = resolve_classes(["my dog", "saw"], **way)
        assert [(r.name, r.wnid, r.source) for r in resolved] == [("my dog", DOG, "by hand"), ("saw", CAT, "by hand")]
    assert resolve_classes([DOG])[0].synset == "dog.n.01"  # folders named after ids, as ImageNet's


@pytest.mark.parametrize(
    "text, says",
    [
        ("class,wnid\ny,n02084071\nx,2084071\n", "mine.csv, line 3: '2084071' of class 'x'"),
        ("class,wnid\ny,n02084071\nY,n02121620\n", "line 3: class 'Y' is set to n02084071 in .*mine.csv, line 2"),
        ("class,wnid\ny,n02084071\nx,n02084072\n", "mine.csv, line 3, class 'x': .*n02084072"),
        ("name,id\nx,n02084071\n", "line 1: the columns are .* class,wnid are needed"),
    ],
)
def test_bad_synsets_are_named_with_their_line(text, says, tmp_path):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        resolve_classes(["x"], synsets=tmp_path / "mine.csv")


def test_bad_synsets_without_a_file_are_named():
    with pytest.raises(DataError, match="synsets: 'dog' of class 'x' is no WordNet id"):
        resolve_classes(["x"], synsets={"x": "dog"})
    with pytest.raises(DataError, match="mine.csv: is not there"):
        resolve_classes(["x"], synsets="mine.csv")


def test_the_shipped_table_answers_for_each_of_its_words_as_nltk_does(nltk_wordnet, no_nltk):
    words = {w for wnid in make.named_wnids() for w in wordnet.table()[wnid].lemmas}
    assert len(words) > 1500
    for word in words:
        assert wordnet.first_senses()[word.casefold()] == wordnet.wnid_of(nltk_wordnet.synsets(word, pos="n")[0]), word
    resolved = resolve_classes(["Wolfhound", "hot-dogs", "golden retriever", "crane (bird)"])
    assert [r.wnid for r in resolved] == ["n02090475", "", "n02099601", ""]
    assert "n07676602 (hot_dog" in resolved[1].note or "hotdog" in resolved[1].note


def test_without_nltk_no_advice_leads_in_a_circle(no_nltk, tmp_path):
    with pytest.raises(DataError, match="(?s)'cafe': not among the nouns that come .*synsets.csv"):
        semantic_similarity(["cafe"], [DOG])
    (tmp_path / "synsets.csv").write_text("class,wnid\ndog,n02084071\ncafe,n02935658\n")
    for synsets, where in (({"cafe": "n02935658"}, "synsets"), (tmp_path, r"synsets\.csv, line 3")):
        with pytest.raises(DataError, match=f"{where}, class 'cafe': n02935658: no noun that comes with") as error:
            semantic_similarity(["dog", "cafe"], [DOG], synsets=synsets)
        assert "by hand" not in str(error.value)
    assert semantic_similarity(["cafe"], [DOG], synsets={"cafe": DOG}).tolist() == [[1]]


@pytest.mark.parametrize(
    "name, wnid",
    [
        ("n02121808_cat", "n02121808"),
        ("n02121808", "n02121808"),
        ("001.wolfhound", "n02090475"),
        ("12-mouse (animal)", "n02330245"),
    ],
)
def test_leading_ids_are_read(name, wnid, no_nltk):
    (resolved,) = resolve_classes([name])
    assert (resolved.name, resolved.wnid) == (name, wnid)


def test_classes_that_are_one_thing():
    one = resolve_classes(["Hot-Dog", "kit fox", "cat"])
    other = resolve_classes(["frankfurter", "hot dog", "n02121620"])
    assert [(a.name, b.name) for a, b in same_classes(one, other)] == [("Hot-Dog", "hot dog"), ("cat", "n02121620")]
    unknown = [Resolution(name, "", "", "unresolved", "") for name in ("Blorb_X", "blorb x", "other")]
    assert [(a.name, b.name) for a, b in same_classes(unknown[:1], unknown[1:])] == [("Blorb_X", "blorb x")]


# ---- overlap with ImageNet-1k ----------------------------------------------------------------------------------------


def test_overlap_tells_same_wider_narrower_and_none():
    overlaps = imagenet_overlap(["pizza", "horse", "hot air balloon", "brain"], "tuberlin")
    assert [o.kind for o in overlaps] == ["same", "wider", "narrower", "none"]
    assert [o.inside for o in overlaps] == [True, False, False, False]
    assert overlaps[0].imagenet == ("n07873807",) and overlaps[1].imagenet == ("n02389026",)  # pizza; sorrel
    assert [o.inside for o in imagenet_overlap(["pizza", "horse", "brain"], "tuberlin", "related")] == [1, 1, 0]
    with pytest.raises(ConfigError, match="relation='synsets' is not known"):
        imagenet_overlap(["pizza"], relation="synsets")


def test_overlap_of_the_official_test_classes(official_names):
    careful = imagenet_overlap(official_names("Sketchy/zeroshot2/cname_cid_zero.txt.gz"), "sketchy")
    assert not any(o.inside for o in careful)  # as Yelamarthi et al. chose them
    assert {o.name for o in careful if o.kind != "none"} == {"dolphin", "door", "songbird"}
    tuberlin = imagenet_overlap(official_names("TUBerlin/zeroshot/cname_cid_zero.txt.gz"), "tuberlin")
    assert (sum(o.inside for o in tuberlin), sum(o.kind != "none" for o in tuberlin)) == (13, 23)


# ---- NLTK's corpus ---------------------------------------------------------------------------------------------------


def test_without_nltk_data_official_names_work_and_own_names_say_how_to_get_it(no_nltk):
    assert semantic_similarity(["saw", "tiger"], ["n02129604"], dataset="sketchy")[1] == 1
    with pytest.raises(DataError, match="python -m nltk.downloader wordnet"):
        semantic_similarity(["wolfhounds"], ["n02129604"])


@pytest.mark.filterwarnings("ignore:The multilingual functions")  # of NLTK, which finds English alone
def test_plain_files_become_a_corpus_that_threads_can_load_at_once(tmp_path, nltk_wordnet, monkeypatch):
    """The files of a corpus without `lexnames` are what Debian ships."""
    try:
        source = os.fspath(nltk_wordnet._root)
    except TypeError:
        pytest.skip("NLTK's WordNet is a zip file here")
    corpus = make.link(source, tmp_path)
    with open(os.path.join(source, "lexnames")) as file:
        assert (corpus / "lexnames").read_text() == file.read()
    nltk_as_new(monkeypatch, str(tmp_path))
    resolved = ThreadPoolExecutor(4).map(class_synset, ["wolf", "oak", "sofa", "kettle"])
    assert [r.synset for r in resolved] == ["wolf.n.01", "oak.n.01", "sofa.n.01", "kettle.n.01"]


def test_linking_an_incomplete_folder_names_what_is_missing(tmp_path):
    (tmp_path / "data.noun").write_text("")
    with pytest.raises(DataError, match=r"12 of 13 WordNet files are not there \(data.verb"):
        make.link(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
