from quimbi_assets.naming.asking import Match, Matching
from quimbi_assets.naming.conversation import mark, round_trip
from quimbi_assets_tests.descriptions import brief_by_hand

IDS = ["purchase_frequency_1", "purchase_frequency_2", "purchase_frequency_3"]
NAMES = {segment: (f"name_{i}", f"They order {i} times.") for i, segment in enumerate(IDS)}


def answered(question, sets):
    return Matching(matches=[Match(text=question.text_of[s], set=letter) for s, letter in sets.items()])


def test_only_words_are_shown_and_order_says_nothing():
    question = round_trip(brief_by_hand(), NAMES, "seed")
    assert {text for _, text in question.texts.values()} == {"They order # times."}
    assert question == round_trip(brief_by_hand(), NAMES, "seed")
    orders = {
        tuple(round_trip(brief_by_hand(), NAMES, str(i)).right.items().__iter__().__next__()[1]) for i in range(9)
    }
    assert len(orders) > 1


def test_marks():
    question = round_trip(brief_by_hand(), NAMES, "seed")
    right = {s: next(iter(question.right[question.text_of[s]])) for s in IDS}
    assert mark(question, answered(question, right)) == dict.fromkeys(IDS, True)
    swapped = {**right, IDS[0]: right[IDS[1]], IDS[1]: right[IDS[0]]}
    assert mark(question, answered(question, swapped)) == dict(zip(IDS, (False, False, True), strict=True))
    assert mark(question, Matching(matches=[])) == dict.fromkeys(IDS, False)
    twice = answered(question, right)
    assert not mark(question, Matching(matches=[*twice.matches, *twice.matches]))[IDS[0]]


def test_segments_of_the_same_numbers_may_be_exchanged():
    brief = brief_by_hand()
    for column in brief.description.columns[2:]:
        brief.description.loc[1, column] = brief.description.loc[0, column]
    question = round_trip(brief, NAMES, "seed")
    assert question.right[question.text_of[IDS[0]]] == question.right[question.text_of[IDS[1]]]
    assert len(question.right[question.text_of[IDS[2]]]) == 1
