"""The words of which conversations are made: in each group those for training, and those held out for measuring.

A held-out name or thing stands in no conversation of the training, whether made from a template or taken from the
stories' questions (`conversations.py`); the stories themselves, of which the base model was made, may hold it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    train: tuple[str, ...]
    held: tuple[str, ...]


def words(train: str, held: str = "") -> Words:
    return Words(tuple(train.split()), tuple(held.split()))


def phrases(train: str, held: str = "") -> Words:
    """Separated by commas; without words of their own to hold out, the held-out ones are the training's."""
    parts = [tuple(phrase.strip() for phrase in text.split(",") if phrase.strip()) for text in (train, held)]
    return Words(parts[0], parts[1] or parts[0])


GIRLS = words(
    "Lily Lucy Sue Mia Jane Sally Sarah Daisy Anna Mary Molly Jill Lila Jo Emily Lisa Alice Bella Jenny Grace Kate "
    "Rosie Ella Penny Tina Susie Rachel Julie Mandy Rose Lola Sophie",
    "Amy Emma Sara Polly Betty",
)
BOYS = words(
    "Tim Timmy Tom Max Jack Bob Sam John Joe Billy Benny Tommy Andy Pete Fred Bobby Sammy Jake Mark Leo George Bill "
    "Jim Joey Jerry Gary Frank Dave Oliver Jimmy",
    "Ben Peter Alex Freddy Danny",
)
THINGS = words(
    "ball car toy box boat book bike kite cake doll hat dress cup key balloon truck train plane bear basket bag bottle "
    "button candle chair coin cookie crayon crown drum flag flower gift hammer jar lamp leaf letter map mirror mug "
    "necklace pan pen pencil picture pillow plate pot puzzle radio ring robot rock rope scarf shell shirt shoe spoon "
    "stick stone stool string swing table tent towel umbrella vase wagon wheel whistle blanket belt brush bucket bench "
    "ladder lock magnet microscope nest net violin watch wand",
    "sock fork clock bell broom guitar ribbon block pipe bowl glove pebble",
)
ANIMALS = words(
    "dog cat bird fish frog bunny duck bear bee cow horse mouse lion pig sheep fox rabbit puppy kitten turtle squirrel "
    "butterfly dragon elephant monkey tiger snake hen spider",
    "owl goat ant whale zebra",
)
COLORS = words("red blue green yellow pink black white brown purple", "orange gray")
KINDS = words(
    "big little small new old shiny soft pretty long heavy tiny nice round broken lost special funny huge clean dirty",
    "strange wooden",
)
PLACES = words(
    "park store kitchen beach garden hospital playground zoo party market pond lake farm library pool barn school "
    "forest river shop castle mountain village museum",
    "bridge bakery cave island meadow",
)
SPOTS = phrases(
    "under the bed, on the table, in the box, behind the tree, under the chair, in the garden, on the bed, near the "
    "door, behind the house, in the kitchen, on the floor, under the table, in the bag, near the pond, on the roof, "
    "behind the couch, in the drawer, next to the window, in the basket, on the shelf, under the tree, by the gate",
    "behind the barn, on the bench, in the bucket, near the fence",
)
RELATIVES = words("mom dad mommy daddy friend sister brother grandma grandpa mother father", "uncle aunt")
FOODS = phrases(
    "apples, cake, cookies, bananas, carrots, milk, ice cream, soup, bread, cheese, grapes, honey, candy, pizza, rice, "
    "juice, eggs, fish, nuts, jam",
    "pears, corn, pasta",
)
ACTS = phrases(
    "play outside, read books, ride a bike, swim, sing songs, draw pictures, run fast, dance, climb trees, play with "
    "toys, jump, fly kites, help people, play in the park, look at the stars, eat cookies, build towers, play ball, "
    "cook, paint, listen to music, pick flowers, go to the beach, count, play hide and seek, feed the birds, "
    "splash in puddles",
    "catch bugs, play chess, dig holes, ride horses",
)
REASONS = {
    "sad": phrases(
        "{he} lost {his} {thing}, {he} fell down, {his} {thing} broke, {his} friend was sick, it was raining, "
        "nobody played with {him}, {he} could not find {his} {thing}, {he} had to go home",
        "{his} {thing} was gone, {he} missed {his} mom",
    ),
    "happy": phrases(
        "{he} got a new {thing}, it was {his} birthday, {he} found {his} {thing}, {he} made a new friend, the sun was "
        "shining, {he} won the game, {his} mom gave {him} a hug",
        "{he} saw a rainbow, {his} friend came to play",
    ),
    "scared": phrases(
        "it was dark, {he} saw a big spider, {he} heard a loud noise, {he} was lost, there was a storm, "
        "the dog was big",
        "{he} saw a monster",
    ),
    "angry": phrases(
        "{his} friend took {his} {thing}, {his} {thing} was broken, {he} could not play, {his} brother hit {him}",
        "{his} {thing} was dirty",
    ),
    "excited": phrases(
        "{he} was going to the {place}, {he} saw a {thing}, {his} friends were coming, there was a party",
        "{he} was going on a trip",
    ),
    "tired": phrases("{he} ran all day, it was late, {he} played too much, {he} did not sleep", "{he} worked hard"),
}
