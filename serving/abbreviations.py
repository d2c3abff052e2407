"""Words that `sentences` knows: what a period follows within a sentence, and what begins one.

English, German, French and Spanish, and the commonest of Dutch, Italian, Polish, Russian, Hindi and
Urdu. All but `STARTERS` are in lower case and without their last period.
"""

from __future__ import annotations

_NEVER_LAST = """
mr mrs ms messrs dr drs prof profs rev hrn mme mlle mgr sra srta dra dña dott dhr mevr mw
г-н г-жа проф акад डॉ प्रो श्री श्रीमती सुश्री
e.g eg i.e ie z.b d.h c.-à-d p.ej ej cf vgl bzw bspw insb sog viz vs approx bijv tzn np
"""
NEVER_LAST = frozenset(_NEVER_LAST.split())
"""Words whose period ends no sentence: titles, and words before an example."""

_BEFORE_NUMBERS = """
no nos nr nrs nro num núm art arts abs abb anm bd bde kap ziff tab fig figs fn ch chap cap sec
sect par pt pp pg pág págs pag vol vols eq eqs op max min rs fr tel ext est kl
jan feb mar mär apr may jun jul aug sep sept oct okt nov dec dez
janv févr avr juil déc ene abr ago set dic стр рис табл гл ст п सं रु
"""
BEFORE_NUMBERS = frozenset(_BEFORE_NUMBERS.split())
"""Words whose period ends no sentence before a number; many are words of their own elsewhere."""

_ABBREVIATIONS = """
al apr assn aug ave av bd bldg blvd ca capt cía cie cmdr co col corp dec déc dept dipl dist ed
eds enz esp etc evtl excmo feb févr ff fig figs ft geb gen ggf gest gob gov hbf hnos hon hr hrsg
ilmo inc incl ing inkl int itd itp janv jh jr juil kap lic lt ltd maj mio mons mrd mt mts nov
nr nrs núm oct okt osv pág págs pp pres prov pte rd rep resp sen sept sgt sr sres st sta ste sto
str tto ud uds univ usw vd vds vol vols ziff zzgl напр руб т ул
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
"""Words that a period often follows within a sentence."""

_LETTERS = """
ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई जेड ज़ेड
اے بی سی ڈی ای ایف جی ایچ آئی جے کے ایل ایم این او پی کیو آر ایس ٹی یو وی ڈبلیو ایکس وائی زیڈ
"""
LETTERS = frozenset(_LETTERS.split())
"""The names of Latin letters in Hindi and Urdu, which are initials there."""

VERBS = frozenset(["आई", "जी", "पी", "آئی", "جی", "پی"])
"""Those of `LETTERS` that are words at the end of sentences, too."""

_STARTERS = """
After Also Although An And Another As At Because Before Both But By Each For From He Her Here
His How However If In Is It Its Later Many Most My Now On Our She Since So Some Such That The
Their Then There These They This Those Though Thus To Today Until We What When Where While Who
Why With You Your
Aber Als Am Auch Auf Aus Bei Beim Da Dabei Damit Danach Dann Das Dazu Dem Den Denn Der Die Dies
Diese Dieser Dieses Doch Dort Du Durch Ein Eine Einem Einen Einer Er Es Für Gegen Heute Hier Ich
Ihr Ihre Im Jetzt Man Mit Nach Nachdem Nun Ob Obwohl Ohne Seit Seine Sie Über Um Und Während
Warum Was Weil Wenn Wer Wie Wir Wo Zu Zum Zur Zwar
Ainsi Après Au Aussi Aux Avec Ce Cela Cependant Ces Cet Cette Comme Dans Depuis Elle Elles En Et
Il Ils Je La Le Les Leur Mais Nous Où Par Pendant Pour Pourquoi Quand Sa Ses Si Son Sur Tout Un
Une Vous
Además Ahora Así Aunque Con Cuando Desde Después El Ella Ellas Ellos Entonces Era Esa Ese Eso
Esta Estas Este Esto Estos Hay Hoy Las Los Luego Mientras Para Pero Por Según Su Sus También
Tras Una Ya Yo Él
"""
STARTERS = frozenset(_STARTERS.split())
"""Words that with a capital begin a sentence, and hardly a name."""
