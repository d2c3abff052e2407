"""First names for variations of pairs, the same in all languages of Latin letters."""

import random
from collections import defaultdict

_NAMES = """
Tom John Bill Bob Jack Jim Mike Ken Alice Emily Jane Kate Lucy Mary Susan Nancy Linda Betty George
Harry Oliver Amelia Isla Freya Callum Ethan Mason Logan Chloe Grace Ruby Ella Toby Hugo Dylan Owen
Rhys Megan Brandon Tyler Kevin Brian Steve Scott Jason Justin Heather Ashley Amber Brooke Hannah
Rachel Rebecca Sarah Laura Jessica Jennifer Melissa Nicole Karen Donna Carol Hans Fritz Karl Otto
Jürgen Günter Uwe Heike Ute Anke Silke Birgit Sabine Katrin Lena Leonie Jonas Lukas Finn Felix
Moritz Niklas Tobias Florian Sebastian Matthias Johanna Greta Frieda Jean Pierre Luc Jacques
Gilles Benoît Étienne Mathieu Guillaume Hélène Amélie Élodie Camille Margaux Manon Inès Zoé
Chantal Odile Thierry Yves René Gaston Célestine Noémie Aurélie Juan José Pedro Pablo Diego Javier
Alejandro Miguel Carlos Luis Carmen Lucía Sofía Isabel Mercedes Pilar Beatriz Ximena Raúl Andrés
Joaquín João Tiago Rui Inês Catarina Thiago Giovanni Luca Marco Matteo Giulia Chiara Francesca
Paolo Enzo Alessandro Giorgia Beppe Bianca Ivan Boris Dmitri Natasha Olga Svetlana Mikhail
Anastasia Piotr Agnieszka Zofia Kasia Jakub Václav Zuzana Milan Goran Dragana Nikola Lars Sven
Ingrid Astrid Björn Søren Freja Mikkel Aino Eero Pekka Yannis Eleni Dimitris Mehmet Ayşe Emre Elif
Fatma Mustafa Ahmed Ali Omar Hassan Fatima Layla Amina Youssef Karim Samira Noor Yasmin Aisha
David Sami Dan Noam Yael Tamar Avi Raj Priya Anil Sunita Arjun Deepak Lakshmi Sanjay Meera Wei
Ming Li Mei Hiroshi Kenji Yuki Sakura Haruto Akiko Takeshi Naoko Minho Jiwoo Hyun Linh Nguyen
Kwame Ama Chidi Ngozi Zola Thabo Sipho Amara Keanu Leilani Mateo Santiago Valentina Camila Nahuel
"""

FIRST_NAMES = tuple(_NAMES.split())

_BEGIN, _END = "^^", "$"


def _followers() -> dict[str, list[str]]:
    """The letters that follow each two letters in the names, as often as they do."""
    found = defaultdict(list)
    for name in FIRST_NAMES:
        marked = _BEGIN + name.lower() + _END
        for letters in zip(marked, marked[1:], marked[2:], strict=False):
            found["".join(letters[:2])].append(letters[2])
    return dict(found)


_FOLLOWERS = _followers()


def invented(draw: random.Random) -> str:
    """A name of 4 to 11 letters that sounds like one and is likely none.

    A model that knows its pieces by such names has to copy what it reads; a list it could learn by
    heart.
    """
    while True:
        name = _BEGIN
        while not name.endswith(_END):
            name += draw.choice(_FOLLOWERS[name[-2:]])
        letters = name[len(_BEGIN) : -len(_END)]
        if 4 <= len(letters) <= 11:
            return letters.capitalize()
