"""The words of the shipped model: for each its group, its other names and its meaning in one line.

MSD-50 and the genres, instruments, voices, eras and moods behind it, in the order of the model's
columns, and the words for what is not music. `earmark.tags` answers for all vocabularies; a word
that stands in none of these tables is in the group "other".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One tag: its spelling, its group, other names for the same thing, its meaning."""

    tag: str
    group: str
    aliases: tuple[str, ...]
    meaning: str


def _table(group: str, text: str) -> tuple[Word, ...]:
    """A line for each word: `tag | alias, alias | meaning`."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return tuple(
        Word(tag, group, tuple(filter(None, aliases.split(", "))), meaning)
        for tag, aliases, meaning in rows
    )


GENRES = _table(
    "genre",
    """
    rock | | guitars, bass and drums, with a strong beat
    pop | | songs made to please many, with a voice in front
    alternative | alternative music | rock and pop off the main road, from the 1980s on
    indie | independent | rock and pop of small labels, or sounding like it
    electronic | electronic music | made mostly with synthesizers, samplers and drum machines
    dance | dance music | made for dancing, with a steady electronic beat
    alternative rock | alt rock | guitar rock off the main road, as of the 1990s
    jazz | | swing or groove, rich chords and improvisation
    metal | | heavy, distorted guitars and hard drums
    classic rock | | rock as it was in the 1960s to 1980s
    soul | soul music | African American song with roots in gospel
    indie rock | | guitar rock of small labels, or sounding like it
    electronica | | electronic music for listening as much as for dancing
    folk | folk music | songs with acoustic instruments, in a tradition
    punk | punk rock | fast, short and rough rock
    blues | | songs of twelve bars, bent notes and call and answer
    hard rock | | loud rock with distorted guitars
    ambient | ambient music | slow sounds with little beat, made for atmosphere
    experimental | avant-garde | music that breaks with the usual forms
    Hip-Hop | hiphop | beats and samples, mostly with rap
    country | country music | songs of the American South, with guitar, fiddle and steel guitar
    easy listening | lounge | soft, tuneful music that asks for little
    funk | | a syncopated groove of bass and drums
    electro | | drum machines and synthesizers in the line of the early 1980s
    heavy metal | | metal in the line of the 1970s and 1980s
    Progressive rock | prog rock, prog | rock with long forms and changing metres
    rnb | R&B, r'n'b, contemporary r&b, rhythm and blues | soulful song over modern beats
    indie pop | | light, tuneful pop of small labels, or sounding like it
    House | house music | four beats on the floor at about 120 a minute
    classical | classical music | the European art music of orchestras, chamber music and piano
    soundtrack | film music, score, ost | music for films, series and games
    reggae | | Jamaican music with the accent on the off-beat
    ska | | fast off-beat guitars and horns
    disco | | dance music of the 1970s, four beats on the floor, strings and bass
    gospel | | Christian song of praise, mostly with choir
    Latin | latin music | music of Latin America, with its dances and percussion
    techno | | hard, repeating machine beats
    trance | | fast electronic dance music with long builds and melodies
    drum and bass | drum & bass, drum n bass, dnb, jungle | fast broken beats over deep bass
    dubstep | | slow, heavy beats with a wobbling bass
    lo-fi | lofi, chillhop | quiet beats with the sound of old tapes
    new wave | | pop and rock after punk, with synthesizers, about 1980
    synth pop | synthpop, electropop | pop made with synthesizers
    rock and roll | rock & roll, rock 'n' roll, rockabilly | the first rock, as of the 1950s
    grunge | | loud and murky guitar rock, as of the early 1990s
    psychedelic rock | psychedelic | rock with echoes and dreamlike sounds
    singer-songwriter | | one person's own songs, often with one instrument
    ballad | ballads | a slow song, mostly of love
    k-pop | kpop, korean pop | pop from Korea
    Asian pop | j-pop, c-pop, v-pop, cantopop, mandopop | pop from Japan, China, Vietnam and near
    Indian | bollywood, hindustani | music of India, of its films too
    musical | musicals, show tunes, broadway | songs of the musical theatre
    swing | big band | jazz for dancing, played by large bands
    children | children's music, kids | songs for children
    opera | | sung theatre with orchestra
    world | world music, traditional | traditional music of a region
    new age | | quiet music for rest and meditation
    bluegrass | | fast acoustic country with banjo, fiddle and mandolin
    flamenco | | guitar, song and clapping from Andalusia
    salsa | | Caribbean dance music with brass and percussion
    Christmas | xmas, holiday | songs for Christmas
    """,
)

INSTRUMENTS = _table(
    "instrument",
    """
    acoustic | unplugged | played without electric amplification
    guitar | | a guitar of any kind
    piano | | a piano, mostly a grand or an upright
    acoustic guitar | | a guitar without amplification
    electric guitar | | an amplified guitar, clean or distorted
    bass | bass guitar, double bass | a bass guitar or double bass that is heard well
    drums | drum kit | a drum kit that is played
    drum machine | | drums that a machine plays
    strings | string section | a group of bowed strings
    violin | fiddle | one violin that is heard well
    brass | horns, horn section | a group of trumpets, trombones and horns
    trumpet | | one trumpet that is heard well
    saxophone | sax | a saxophone
    flute | | a flute
    synthesizer | synth, keyboards | electronic keyboard sounds
    organ | hammond | an organ with pipes or electric
    accordion | | an accordion or bandoneon
    harmonica | | a mouth organ
    """,
)

VOICES = _table(
    "voice",
    """
    female vocalists | female voice, female vocals | a woman sings
    male vocalists | male voice, male vocals | a man sings
    female vocalist | | a woman sings alone
    instrumental | no vocals, no voice | no voice is heard
    rap | rapping | words spoken in rhythm over a beat
    choir | chorus | many voices together
    """,
)

ERAS = _table(
    "era",
    """
    60s | 1960s | sounds as music did in 1960 to 1969
    70s | 1970s | sounds as music did in 1970 to 1979
    80s | 1980s | sounds as music did in 1980 to 1989
    90s | 1990s | sounds as music did in 1990 to 1999
    00s | 2000s | sounds as music did in 2000 to 2009
    10s | 2010s | sounds as music did in 2010 to 2019
    20s | 2020s | sounds as music does since 2020
    oldies | | popular songs of the 1950s to early 1970s
    """,
)

MOODS = _table(
    "mood",
    """
    beautiful | | praised for its beauty
    chillout | chill-out | for rest after a long night
    Mellow | | soft and warm
    chill | | relaxed, with little tension
    party | | for a party
    sexy | sensual | about desire, or made to arouse it
    catchy | | a tune that stays in the head
    sad | | sounds like sorrow
    happy | | sounds like joy
    calm | peaceful, quiet, soothing | at rest
    gentle | delicate, soft, light | careful and kind
    cheerful | joyous, bright | in good spirits
    energetic | lively, exciting | full of drive
    romantic | | about love
    dreamy | | as if half asleep
    atmospheric | ethereal | more space than events
    hypnotic | | repeats until it draws one in
    spiritual | reverent | about faith
    nostalgic | | looks back
    melancholic | melancholy, wistful, bittersweet | quietly sad
    gloomy | bleak, somber | without light
    anguished | distraught | in pain
    dark | ominous, eerie | threatening or strange
    tense | anxious, nervous | waits for something bad
    angry | hostile | sounds like anger
    aggressive | fierce, harsh | attacks
    epic | | large and heroic
    funny | humorous, silly | to laugh at
    playful | fun | at play
    rebellious | reckless | against the rules
    """,
)

# What is not music; these say what kind of sound a file is, and are no tags of a song.
SOUNDS = _table(
    "sound",
    """
    music | | music of any kind
    speech | talk, spoken word | a person talks
    silence | | nothing is heard
    noise | | noise without a tone: rain, wind, a bad line
    hum | | a low tone of mains or machines
    applause | clapping | many people clap
    tone | | one steady tone
    """,
)

WORDS: dict[str, Word] = {
    word.tag: word for table in (GENRES, MOODS, ERAS, INSTRUMENTS, VOICES, SOUNDS) for word in table
}
