from shop.pricing import total


def test_total_of_nothing_is_zero():
    assert total([], "us") == 0


def test_total_adds_the_tax_of_the_country():
    assert total([(2, 50.0)], "us") == 107.0
    assert total([(1, 100.0)], "de") == 119.0


def test_total_of_an_unknown_country_has_no_tax():
    assert total([(1, 10.0)], "atlantis") == 10.0
