"""What the shipped model answers: MSD-50 in column order, then words that people and files use.

Each word has its group, other names that people look for, and what is meant in one line. Umbrellas
(Pop/Rock, International, Vocal) and 4Q's fifty words teach beside these and are not answered.
"""

from __future__ import annotations

from typing import NamedTuple

from earmark.tags import MSD_50


class Word(NamedTuple):
    """A tag as people meet it."""

    group: str
    aliases: tuple[str, ...]
    meaning: str


def _words(group: str, table: str) -> dict[str, Word]:
    """From lines of "word (alias, alias): meaning"."""
    result = {}
    for line in table.strip().splitlines():
        name, meaning = line.strip().split(": ", 1)
        name, _, aliases = name.partition(" (")
        names = tuple(alias for alias in aliases.rstrip(")").split(", ") if alias)
        result[name] = Word(group, names, meaning)
    return result


MSD_WORDS: dict[str, Word] = {
    **_words(
        "genre",
        """
        rock (Rock music): guitars, bass and drums in the line of rock and roll
        pop: songs with tunes and choruses made for many
        alternative (Alternative music): rock and pop beside the charts since the eighties
        indie (Independent): guitar music of small labels
        electronic (Electronic music): made mostly with synthesizers and machines
        dance (Dance-pop, EDM): made for dance floors, with a steady beat
        alternative rock (Alt-rock): rock beside the mainstream since the eighties
        jazz: improvised music with swing, blue notes and rich chords
        metal: loud distorted guitars and heavy drums
        classic rock: rock as it was from the sixties to the eighties
        soul: sung with feeling, from gospel and rhythm and blues
        indie rock: rock of small labels
        electronica: electronic music to listen to
        folk: songs in the manner of old ones, mostly on acoustic instruments
        punk (Punk rock): fast, short and raw rock
        blues: twelve bars, blue notes, from the south of the United States
        hard rock: rock with loud, distorted guitars
        ambient: calm, slowly changing sound without a beat
        experimental (Avant-garde): tries what music may be
        Hip-Hop (hip hop, rap music): rapped, over beats and samples
        country: songs in the manner of the rural United States
        easy listening (Lounge): gentle orchestras and bands in the background
        funk: groove of bass and drums, in short syncopated figures
        electro: early drum machines and hard synthesizers
        heavy metal: the classic kind of metal
        Progressive rock (prog rock): rock in long forms with changing metres
        rnb (R&B, rhythm and blues): sung over soft beats, from soul to today's charts
        indie pop: pop of small labels
        House (house music): four beats to the bar from a drum machine, at about 120 a minute
        """,
    ),
    **_words(
        "mood",
        """
        beautiful: people call it beautiful
        chillout: electronic music to rest to
        Mellow: soft and without hurry
        chill: relaxed
        party: for a party
        sexy: sensual
        catchy: stays in the ear
        sad: of sorrow
        happy: of joy
        """,
    ),
    **_words(
        "era",
        """
        00s (2000s): sounds like 2000 to 2009
        80s (1980s): sounds like 1980 to 1989
        90s (1990s): sounds like 1990 to 1999
        70s (1970s): sounds like 1970 to 1979
        60s (1960s): sounds like 1960 to 1969
        oldies: sounds older than the seventies
        """,
    ),
    **_words(
        "instrument",
        """
        acoustic (unplugged): instruments without amplifiers
        guitar: any guitar in front
        """,
    ),
    **_words(
        "voice",
        """
        female vocalists (female voice, female vocals): a woman sings
        male vocalists (male voice, male vocals): a man sings
        female vocalist: a woman sings; the same as female vocalists
        instrumental (no voice, no vocals): nobody sings
        """,
    ),
}

NEW_WORDS: dict[str, Word] = {
    **_words(
        "genre",
        """
        classical (Classical music, orchestral): European art music, old and new
        soundtrack (Score, film music, stage and screen): music for films, games and shows
        reggae (dub, dancehall): Jamaican, with the accent off the beat
        ska: faster, brassy forerunner of reggae
        disco: dance music of the seventies, strings over a steady beat
        gospel (Christian, religious): sung in praise
        Latin (Latin music, latino): from Latin America and its neighbours
        techno: machine music from Detroit and Berlin, without songs
        trance: fast electronic music in long waves
        drum and bass (DnB, jungle): fast broken beats over deep bass
        dubstep: half-time beats and wobbling bass
        lo-fi (lofi, lo-fi hip hop): soft beats with the noise of old tape
        new wave: pop and rock after punk, about 1980
        synth pop (synthpop, electropop): pop played on synthesizers
        rock and roll (rock 'n' roll, rockabilly): the rock of the fifties
        grunge: dark, loud rock from about 1990
        psychedelic rock (psychedelia): rock of about 1967, with echoes and long solos
        singer-songwriter: somebody sings own songs, sparsely accompanied
        ballad (slow song): a slow song of feeling
        k-pop (Korean pop): South Korean pop
        Asian pop (c-pop, v-pop, j-pop): pop of China, Vietnam, Japan and neighbours
        Indian (Bollywood, Hindi): Indian music, film songs too
        musical (show tunes, Broadway): songs from the stage
        swing (big band): jazz for dancing, about 1940
        children (children's music, kids): for children
        opera: sung drama in the classical manner
        world (world music, international): traditional music of the world
        new age: soft and spacious, for rest
        bluegrass: fast acoustic country with banjo and fiddle
        flamenco: Andalusian guitar, song and dance
        salsa: Caribbean dance music with brass and percussion
        Christmas (holiday): for Christmas
        """,
    ),
    **_words(
        "instrument",
        """
        piano: a piano, of strings or electric
        acoustic guitar: a guitar without an amplifier
        electric guitar: a guitar with an amplifier
        bass (bass guitar): an electric bass that stands out
        drums (drum kit): played drums
        drum machine (beats): programmed drums
        strings (string section): a group of bowed strings
        violin (fiddle): a single violin
        brass (horns): trumpets, trombones or horns together
        trumpet: a single trumpet
        saxophone (sax): a saxophone
        flute: a flute
        synthesizer (synth): a synthesizer that stands out
        organ (Hammond): an organ
        accordion: an accordion
        harmonica: a mouth organ
        """,
    ),
    **_words(
        "voice",
        """
        rap (rapping): somebody raps
        choir (chorus): many sing together
        """,
    ),
    **_words(
        "era",
        """
        10s (2010s): sounds like 2010 to 2019
        20s (2020s): sounds like 2020 and later
        """,
    ),
    **_words(
        "mood",
        """
        calm (peaceful, relaxing): nothing hurries
        gentle (soft, delicate): soft to the ear
        cheerful (joyous, bright): in good spirits
        energetic (exciting, lively): full of drive
        romantic (love): of love
        dreamy: as if half asleep
        atmospheric (ethereal): more space than tune
        hypnotic: repeats until it carries away
        spiritual (reverent): of faith or devotion
        nostalgic: looks back
        melancholic (melancholy, wistful): sad and sweet at once
        gloomy (bleak): without hope
        anguished: in pain
        dark (ominous, menacing): threatening
        tense (anxious, nervous): waits for something bad
        angry (hostile): of anger
        aggressive (fierce, harsh): attacks
        epic: large and heroic
        funny (humorous, silly): makes people smile
        playful (fun): plays around
        rebellious (reckless): against the rules
        """,
    ),
}

# Not music, or music as such: what the kind of a recording is decided by. Never written as genres.
SOUNDS = ("music", "speech", "silence", "noise", "hum", "applause", "tone")
SOUND_WORDS: dict[str, Word] = _words(
    "sound",
    """
    music: music of any kind
    speech (talk, spoken word): somebody talks
    silence: nothing is heard
    noise: hiss, wind, rain, machines
    hum: the hum of mains or a motor
    applause (clapping): people clap
    tone (beep, test tone): a single tone
    """,
)

WORDS: dict[str, Word] = {tag: MSD_WORDS[tag] for tag in MSD_50} | NEW_WORDS | SOUND_WORDS
TAGS = tuple(WORDS)
UMBRELLAS = ("Pop/Rock", "International", "Vocal")
