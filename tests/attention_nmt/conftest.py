"""Fixtures of the library's tests: a small vocabulary, and a clean Keras for every test."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# What XLA compiles here runs for milliseconds; LLVM's optimizations would take up to a third of
# the time.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

from collections.abc import Iterator

import keras
import pytest

from attention_nmt.data.tokenizer import Tokenizer

SENTENCES = """
A man in a red shirt is riding a bicycle down the street.
Two young girls are playing in the green grass.
A brown dog runs through the shallow water.
The woman is reading a newspaper on a wooden bench.
Three children are climbing a tall tree in the park.
A small boy is throwing a yellow ball to his father.
People are waiting for the train at the old station.
An old man is feeding the birds beside the lake.
The black cat is sleeping on the kitchen table.
A group of students is standing in front of the museum.
The girl with the blue hat is eating an apple.
Two men are repairing the roof of a white house.
A baby is laughing at a little brown bear.
The musician plays the guitar in the crowded street.
A couple is walking along the beach at sunset.
Several workers are building a bridge over the river.
The cook is cutting onions and carrots in the kitchen.
A runner drinks water after the long race.
The teacher is writing a long sentence on the board.
A child is painting a picture of a red house.
Ein Mann in einem roten Hemd fährt mit dem Fahrrad die Straße entlang.
Zwei junge Mädchen spielen im grünen Gras.
Ein brauner Hund läuft durch das flache Wasser.
Die Frau liest auf einer Holzbank eine Zeitung.
Drei Kinder klettern im Park auf einen hohen Baum.
Ein kleiner Junge wirft seinem Vater einen gelben Ball zu.
Menschen warten am alten Bahnhof auf den Zug.
Ein alter Mann füttert neben dem See die Vögel.
Die schwarze Katze schläft auf dem Küchentisch.
Eine Gruppe von Studenten steht vor dem Museum.
Das Mädchen mit dem blauen Hut isst einen Apfel.
Zwei Männer reparieren das Dach eines weißen Hauses.
Ein Baby lacht über einen kleinen braunen Bären.
Der Musiker spielt Gitarre in der belebten Straße.
Ein Paar geht bei Sonnenuntergang am Strand entlang.
Mehrere Arbeiter bauen eine Brücke über den Fluss.
Der Koch schneidet in der Küche Zwiebeln und Karotten.
Ein Läufer trinkt nach dem langen Rennen Wasser.
Der Lehrer schreibt einen langen Satz an die Tafel.
Ein Kind malt ein Bild von einem roten Haus.
""".strip().splitlines()

VOCABULARY_SIZE = 360


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Forty sentences, half of them English and half German."""
    return list(SENTENCES)


@pytest.fixture(scope="session")
def tokenizer_proto() -> bytes:
    """A vocabulary of 360 pieces trained on the sentences."""
    return Tokenizer.train(SENTENCES, VOCABULARY_SIZE).model_proto


@pytest.fixture
def tokenizer(tokenizer_proto: bytes) -> Tokenizer:
    """A tokenizer of its own for every test."""
    return Tokenizer(tokenizer_proto)


@pytest.fixture(autouse=True)
def _clean_keras() -> Iterator[None]:
    """The same seeds before every test, and no dtype policy left behind."""
    keras.utils.set_random_seed(1)
    yield
    keras.config.set_dtype_policy("float32")
