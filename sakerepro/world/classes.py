"""The classes of the generated world: real WordNet nouns, each with the body plan and the traits it is drawn from.

Three disjoint sets, as in the paper: the *original* domain of the teacher (mostly leaves of WordNet, as in ImageNet),
*seen* classes for training (mostly more general nouns, as in the sketch data sets) and *unseen* classes for retrieval.
Some seen classes are hypernyms of original ones (dog and beagle), some unseen ones only have relatives (horse and
zebra). Classes close in WordNet share a plan and differ in traits, so that a network can transfer between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["original", "seen", "unseen"]


@dataclass(frozen=True)
class WorldClass:
    """One class: its name, its WordNet synset and its drawing."""

    name: str
    wnid: str  # WordNet 3.0: "n" and the eight-digit offset of the noun synset
    role: Role
    plan: str  # name of its plan, see `plans`
    look: Mapping[str, Any]  # traits of the plan; "hue" names the usual colours, "any" allows all


def _of(role: Role, *rows: tuple[str, str, str, dict[str, Any]]) -> tuple[WorldClass, ...]:
    return tuple(WorldClass(name, wnid, role, plan, look) for name, wnid, plan, look in rows)


_ORIGINAL = _of(
    "original",
    # mammals
    ("beagle", "n02088364", "quadruped", dict(ear="flop", tail="up", leg=0.36, snout=0.16, coat="patches",
     hue="tan brown")),
    ("greyhound", "n02090827", "quadruped", dict(ear="fold", leg=0.62, girth=0.25, tuck=0.5, snout=0.26,
     head=0.15, neck=0.32, tail="thin", hue="grey tan black")),
    ("timber wolf", "n02114367", "quadruped", dict(ear="point", tail="bush", leg=0.48, snout=0.2, coat="shaggy",
     hue="grey white")),
    ("red fox", "n02119022", "quadruped", dict(ear="point", ear_size=1.4, tail="bush", tail_size=1.4, leg=0.36,
     girth=0.26, snout=0.2, head=0.17, hue="orange")),
    ("tabby", "n02123045", "quadruped", dict(ear="point", tail="cat", leg=0.34, snout=0.05, head=0.2,
     whiskers=1, coat="stripes", hue="grey tan")),
    ("lion", "n02129165", "quadruped", dict(ear="round", tail="tuft", mane="ruff", leg=0.44, snout=0.1,
     head=0.22, hue="sand")),
    ("cheetah", "n02130308", "quadruped", dict(ear="round", tail="cat", leg=0.58, girth=0.27, snout=0.07,
     head=0.15, coat="spots", hue="sand")),
    ("brown bear", "n02132136", "quadruped", dict(ear="round", tail="", leg=0.34, girth=0.5, snout=0.16,
     head=0.25, hump=0.1, coat="shaggy", hue="brown")),
    ("zebra", "n02391049", "quadruped", dict(ear="long", ear_size=0.7, tail="tuft", neck=0.36, rise=48,
     snout=0.24, leg=0.52, mane="crest", coat="bands", hue="white")),
    ("hog", "n02395406", "quadruped", dict(ear="flop", ear_size=0.7, tail="curl", leg=0.24, girth=0.5,
     snout=0.18, disc=1, neck=0.08, hue="pink brown")),
    ("ox", "n02403003", "quadruped", dict(ear="side", horn="out", tail="tuft", leg=0.4, girth=0.48, snout=0.2,
     head=0.22, neck=0.16, rise=15, hue="brown black")),
    ("ram", "n02412080", "quadruped", dict(ear="side", horn="coil", tail="stub", leg=0.32, girth=0.48,
     snout=0.15, coat="wool", hue="cream")),
    ("gazelle", "n02423022", "quadruped", dict(ear="long", ear_size=0.7, horn="straight", tail="stub", leg=0.66,
     girth=0.28, neck=0.34, rise=60, head=0.14, hue="sand orange")),
    ("Arabian camel", "n02437312", "quadruped", dict(ear="round", ear_size=0.6, tail="tuft", hump=0.3, humps=1,
     leg=0.62, neck=0.5, rise=42, head=0.15, snout=0.2, hue="sand")),
    ("wood rabbit", "n02325366", "quadruped", dict(ear="long", ear_size=1.6, tail="puff", leg=0.16, body=0.62,
     girth=0.42, snout=0.06, head=0.21, hue="brown grey")),
    ("porcupine", "n02346627", "quadruped", dict(ear="", tail="", leg=0.14, girth=0.44, spines=1, snout=0.18,
     head=0.16, neck=0.05, rise=0, hue="brown black")),
    ("fox squirrel", "n02356798", "quadruped", dict(ear="point", ear_size=0.8, tail="plume", leg=0.2, body=0.6,
     girth=0.32, snout=0.08, head=0.17, hue="orange brown")),
    ("Indian elephant", "n02504013", "quadruped", dict(ear="fan", trunk=0.6, tail="tuft", leg=0.48,
     legs_wide=2.2, girth=0.58, head=0.3, snout=0.0, neck=0.05, tusk=1, hue="grey")),
    # birds
    ("cock", "n01514668", "bird", dict(crest="comb", tail="sickle", leg=0.25, neck=0.22, bill="short",
     hue="brown red")),
    ("ostrich", "n01518878", "bird", dict(leg=0.7, neck=0.6, girth=0.42, bill="short", tail="puff", body=0.62,
     hue="black grey")),
    ("robin", "n01558993", "bird", dict(leg=0.2, neck=0.0, bill="short", tail="straight", body=0.62, girth=0.4,
     breast="orange", hue="brown grey")),
    ("bald eagle", "n01614925", "bird", dict(leg=0.16, neck=0.1, bill="hook", tail="fan", tilt=45, wing=1.3,
     hood="white", hue="brown")),
    ("flamingo", "n02007558", "bird", dict(leg=0.75, neck=0.62, curve=1.0, bill="bent", tail="puff", body=0.55,
     girth=0.3, hue="pink")),
    ("goose", "n01855672", "bird", dict(leg=0.18, web=1, neck=0.38, bill="flat", tail="short", hue="grey brown")),
    ("toucan", "n01843383", "bird", dict(leg=0.12, neck=0.02, bill="huge", tail="straight", tilt=40, hue="black")),
    ("king penguin", "n02056570", "bird", dict(leg=0.06, web=1, neck=0.04, bill="thin", tail="short", tilt=82,
     breast="white", wing=0.8, flipper=1, hue="black")),
    # fish, whales, reptiles
    ("goldfish", "n01443537", "fish", dict(girth=0.4, tail="fan", dorsal="long", scales=1, hue="orange")),
    ("great white shark", "n01484850", "fish", dict(girth=0.26, tail="lunate", dorsal="triangle", gills=1,
     snout=0.25, teeth=1, hue="grey")),
    ("grey whale", "n02066245", "fish", dict(girth=0.38, tail="fluke", dorsal="", blunt=1, spout=1,
     hue="grey black")),
    ("box turtle", "n01669191", "turtle", dict(dome=0.5, feet="leg", hue="olive brown")),
    ("African crocodile", "n01697457", "lizard", dict(snout=0.42, girth=0.2, leg=0.14, ridge=1, teeth=1,
     hue="olive green")),
    ("common iguana", "n01677366", "lizard", dict(snout=0.12, girth=0.22, leg=0.22, spikes=1, tail=0.9, hue="green")),
    ("garter snake", "n01735189", "snake", dict(bands=1, hue="green olive")),
    # insects and other arthropods
    ("monarch", "n02279972", "butterfly", dict(veins=1, rim="black", wing=1.1, hue="orange")),
    ("dragonfly", "n02268443", "butterfly", dict(narrow=1, abdomen=1.0, hue="blue green")),
    ("ladybug", "n02165456", "bug", dict(shell=1, spots=1, girth=0.62, hue="red")),
    ("bee", "n02206856", "bug", dict(wings=1, bands=1, girth=0.4, hue="yellow")),
    ("tarantula", "n01774750", "spider", dict(legs=4, thick=2.2, body=0.3, hairy=1, hue="brown black")),
    ("rock crab", "n01978455", "spider", dict(legs=3, claws=1, shell=1, body=0.42, thick=1.5, hue="red brown")),
    # vehicles
    ("sports car", "n04285008", "car", dict(height=0.2, cabin=(0.34, 0.74), cabin_height=0.15, rake=0.16,
     wheel=0.13, spoiler=1, hue="any")),
    ("school bus", "n04146614", "car", dict(height=0.5, cabin=(0.0, 0.0), windows=6, hood=0.14, wheel=0.12,
     stripe=1, hue="yellow")),
    ("pickup", "n03930630", "car", dict(height=0.26, cabin=(0.3, 0.6), cabin_height=0.2, rake=0.05, bed=1,
     wheel=0.15, hue="any")),
    ("tractor", "n04465501", "tractor", dict(hue="green red blue")),
    ("mountain bike", "n03792782", "bicycle", dict(bar="flat", tyre=2.0, hue="any")),
    ("moped", "n03785016", "bicycle", dict(bar="flat", tyre=2.0, wheel=0.22, scooter=1, hue="any")),
    ("airliner", "n02690373", "plane", dict(windows=9, hue="white blue grey")),
    ("steam locomotive", "n04310018", "train", dict(funnel=1, hue="black green red")),
    ("army tank", "n04389033", "tank", dict(hue="olive sand")),
    # vessels
    ("yawl", "n04612373", "boat", dict(masts=2, sail="fore", hue="white blue")),
    ("canoe", "n02951358", "boat", dict(masts=0, sheer=0.22, depth=0.16, paddle=1, hue="red green brown")),
    ("submarine", "n04347754", "submarine", dict(hue="grey black yellow")),
    # furniture
    ("rocking chair", "n04099969", "chair", dict(rockers=1, arms=1, slats=4, hue="brown")),
    ("folding chair", "n03376595", "chair", dict(crossed=1, slats=0, back=0.42, hue="any")),
    ("dining table", "n03201208", "table", dict(cloth=1, dishes=1, width=1.0, hue="brown white")),
    ("four-poster", "n03388549", "bed", dict(posts=1, hue="any")),
    ("table lamp", "n04380533", "lamp", dict(hue="any")),
    # tools
    ("hammer", "n03481172", "tool", dict(head="hammer", length=0.9, hue="brown red")),
    ("hatchet", "n03498962", "tool", dict(head="axe", length=0.7, size=1.1, hue="brown")),
    ("screwdriver", "n04154565", "tool", dict(head="driver", length=0.8, hue="red yellow blue")),
    ("shovel", "n04208210", "tool", dict(head="shovel", length=1.0, grip="d", hue="brown")),
    ("broom", "n02906734", "tool", dict(head="broom", length=1.0, hue="brown yellow")),
    ("cleaver", "n03041632", "tool", dict(head="cleaver", length=0.45, hue="brown black")),
    # plants and fruit
    ("daisy", "n11939491", "flower", dict(petals=13, petal="thin", leaves=1, hue="white")),
    ("sunflower", "n11978233", "flower", dict(petals=20, petal="point", core=0.24, leaves=2, hue="yellow")),
    ("palm", "n12582231", "tree", dict(crown="palm", hue="green")),
    ("banana", "n07753592", "fruit", dict(shape="banana", hue="yellow")),
    ("Granny Smith", "n07742313", "fruit", dict(shape="apple", leaf=1, hue="lime")),
    ("pineapple", "n07753275", "fruit", dict(shape="pineapple", hue="gold")),
    ("strawberry", "n07745940", "fruit", dict(shape="strawberry", hue="red")),
    # buildings
    ("barn", "n02793495", "building", dict(kind="barn", hue="red")),
    ("lighthouse", "n02814860", "building", dict(kind="lighthouse", hue="white red")),
    ("mosque", "n03788195", "building", dict(kind="mosque", hue="cream white")),
    ("suspension bridge", "n04366367", "bridge", dict(hue="red grey")),
    # instruments
    ("violin", "n04536866", "lute", dict(body="waist", bow=1, scroll=1, neck=0.45, hue="brown orange")),
    ("banjo", "n02787622", "lute", dict(body="round", neck=0.75, hue="cream brown")),
    ("cornet", "n03110669", "horn", dict(hue="gold")),
    # containers
    ("beer bottle", "n02823428", "vessel", dict(profile="bottle", label=1, height=1.0, hue="brown green")),
    ("coffee mug", "n03063599", "vessel", dict(profile="mug", handle=1, height=0.6, steam=1, hue="any")),
    ("teapot", "n04398044", "vessel", dict(profile="pot", handle=1, spout=1, lid=1, height=0.6, hue="any")),
    ("goblet", "n03443371", "vessel", dict(profile="goblet", height=0.95, hue="gold grey")),
    ("bucket", "n02909870", "vessel", dict(profile="bucket", bail=1, height=0.65, hue="any")),
    # clothing
    ("jersey", "n03595614", "shirt", dict(sleeve=0.35, hue="any")),
    ("gown", "n03450230", "dress", dict(hue="any")),
    ("running shoe", "n04120489", "shoe", dict(laces=1, sole=0.09, stripes=3, hue="any")),
    ("cowboy hat", "n03124170", "hat", dict(brim="curl", crown="dent", hue="brown sand black")),
)

_SEEN = _of(
    "seen",
    ("dog", "n02084071", "quadruped", dict(ear="mixed", tail="up", leg=0.44, snout=0.18, varied=1,
     hue="tan brown black white")),
    ("cat", "n02121620", "quadruped", dict(ear="point", tail="cat", leg=0.34, snout=0.05, head=0.2, whiskers=1,
     varied=1, hue="grey black orange white")),
    ("cow", "n02403454", "quadruped", dict(ear="side", horn="short", tail="tuft", leg=0.38, girth=0.46,
     snout=0.2, head=0.2, udder=1, rise=20, coat="patches", hue="white brown")),
    ("sheep", "n02411705", "quadruped", dict(ear="side", tail="stub", leg=0.28, girth=0.5, snout=0.14,
     head=0.17, coat="wool", hue="cream white")),
    ("bear", "n02131653", "quadruped", dict(ear="round", tail="", leg=0.36, girth=0.5, snout=0.15, head=0.25,
     coat="shaggy", hue="brown black white")),
    ("rabbit", "n02324045", "quadruped", dict(ear="long", ear_size=1.8, tail="puff", leg=0.17, body=0.6,
     girth=0.42, snout=0.06, head=0.21, hue="white brown grey")),
    ("elephant", "n02503517", "quadruped", dict(ear="fan", ear_size=1.3, trunk=0.6, tail="tuft", leg=0.48,
     legs_wide=2.2, girth=0.56, head=0.3, snout=0.0, neck=0.05, tusk=1, hue="grey")),
    ("duck", "n01846331", "bird", dict(leg=0.14, web=1, neck=0.2, bill="flat", tail="short",
     hue="brown yellow white")),
    ("parrot", "n01816887", "bird", dict(leg=0.1, neck=0.0, bill="hook", tail="long", tilt=55, head=0.17,
     hue="red green blue")),
    ("shark", "n01482330", "fish", dict(girth=0.25, tail="lunate", dorsal="triangle", gills=1, snout=0.22,
     hue="grey blue")),
    ("turtle", "n01662784", "turtle", dict(dome=0.42, feet="flipper", hue="green olive")),
    ("butterfly", "n02274259", "butterfly", dict(wing=1.15, spots=1, hue="any")),
    ("spider", "n01772222", "spider", dict(legs=4, thick=1.0, body=0.22, hue="black brown")),
    ("car", "n02958343", "car", dict(height=0.24, cabin=(0.2, 0.8), cabin_height=0.22, rake=0.13, wheel=0.14,
     hue="any")),
    ("truck", "n04490091", "car", dict(height=0.24, cabin=(0.68, 0.96), cabin_height=0.24, rake=0.03, box=0.5,
     wheel=0.13, wheels=3, hue="any")),
    ("bicycle", "n02834778", "bicycle", dict(bar="drop", tyre=1.0, hue="any")),
    ("sailboat", "n04128499", "boat", dict(masts=1, sail="fore", hue="white red blue")),
    ("chair", "n03001627", "chair", dict(slats=3, hue="brown any")),
    ("table", "n04379243", "table", dict(width=0.95, hue="brown")),
    ("bed", "n02818832", "bed", dict(hue="any")),
    ("axe", "n02764044", "tool", dict(head="axe", length=1.0, size=1.2, hue="brown")),
    ("knife", "n03623556", "tool", dict(head="knife", length=0.42, hue="brown black")),
    ("flower", "n11669921", "flower", dict(petals=6, petal="round", leaves=2, hue="any")),
    ("tree", "n13104059", "tree", dict(crown="round", hue="green olive")),
    ("apple", "n07739125", "fruit", dict(shape="apple", leaf=1, hue="red green yellow")),
    ("house", "n03544360", "building", dict(kind="house", hue="any")),
    ("guitar", "n03467517", "lute", dict(body="waist", big=1, hole=1, neck=0.62, hue="brown orange black")),
    ("bottle", "n02876657", "vessel", dict(profile="bottle", height=0.95, hue="green blue brown")),
    ("cup", "n03147509", "vessel", dict(profile="cup", handle=1, saucer=1, height=0.45, hue="any")),
    ("hat", "n03497657", "hat", dict(brim="flat", crown="round", hue="any")),
    ("shoe", "n04199027", "shoe", dict(laces=0, heel=0.12, sole=0.05, hue="black brown any")),
)

_UNSEEN = _of(
    "unseen",
    ("horse", "n02374451", "quadruped", dict(ear="point", ear_size=0.7, tail="hair", mane="crest", neck=0.4,
     rise=50, snout=0.25, leg=0.56, hue="brown black white")),
    ("giraffe", "n02439033", "quadruped", dict(ear="side", horn="knob", tail="tuft", neck=0.85, rise=66,
     snout=0.18, head=0.14, leg=0.7, body=0.7, girth=0.34, slope=0.14, coat="cells", hue="sand")),
    ("owl", "n01621127", "bird", dict(front=1, leg=0.06, bill="hook", tail="short", hue="brown grey white")),
    ("swan", "n01858441", "bird", dict(leg=0.0, water=1, neck=0.6, curve=1.0, bill="flat", tail="up", hue="white")),
    ("dolphin", "n02068974", "fish", dict(girth=0.27, tail="fluke", dorsal="hook", beak=1, arch=0.25,
     hue="grey blue")),
    ("ant", "n02219486", "bug", dict(segments=3, girth=0.3, hue="black red brown")),
    ("helicopter", "n03512147", "helicopter", dict(hue="any")),
    ("sofa", "n04256520", "sofa", dict(hue="any")),
    ("scissors", "n04148054", "scissors", dict(hue="red blue black")),
    ("pear", "n07767847", "fruit", dict(shape="pear", leaf=1, hue="lime yellow")),
    ("castle", "n02980441", "building", dict(kind="castle", hue="grey sand")),
    ("umbrella", "n04507155", "umbrella", dict(hue="any")),
)

CLASSES: tuple[WorldClass, ...] = (*_ORIGINAL, *_SEEN, *_UNSEEN)


def of_role(role: Role) -> tuple[WorldClass, ...]:
    """The classes of one set, in the order of their labels."""
    return tuple(c for c in CLASSES if c.role == role)


BY_NAME: dict[str, WorldClass] = {c.name: c for c in CLASSES}
WNIDS: dict[str, str] = {c.name: c.wnid for c in CLASSES}  # the class table of the record `mini`
ORIGINAL_WNIDS: tuple[str, ...] = tuple(c.wnid for c in of_role("original"))
