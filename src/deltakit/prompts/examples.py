"""Worked examples for few-shot prompts: invented for deltakit, in its own words, none from a published prompt.

Scores with them differ a little from scores with the prompts of Wei et al. (2022) or Lewkowycz et al. (2022).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPETITION", "GRADE", "Example"]


@dataclass(frozen=True)
class Example:
    """A question, what one should think of before solving it, the way to the answer, and the answer."""

    question: str
    hint: str
    solution: str
    answer: str


GRADE = (
    Example(
        "A bakery packs its rolls in bags of 6. On Monday it baked 84 rolls, kept 12 for the staff and packed the rest."
        " How many bags did it fill?",
        "Find out how many rolls were left to pack before dividing by the size of a bag.",
        "After keeping 12 for the staff, 84 - 12 = 72 rolls are left. Each bag holds 6, so 72 / 6 = 12 bags are full.",
        "12",
    ),
    Example(
        "Tomas rides 4 kilometres to school and the same way back on each of the 5 school days. On Saturday he rides 15"
        " kilometres. How far does he ride in a week?",
        "A school day has two ways; add Saturday at the end.",
        "A school day is 4 + 4 = 8 kilometres. Five school days are 5 * 8 = 40 kilometres. With Saturday it is"
        " 40 + 15 = 55 kilometres.",
        "55",
    ),
    Example(
        "A concert hall sold 120 tickets at $15. A quarter of the buyers had a coupon that took $4 off. How much money"
        " came in?",
        "Take what all tickets would bring, then subtract what the coupons took off.",
        "Without coupons the tickets bring 120 * 15 = 1800 dollars. A quarter of 120 is 30 buyers, and their coupons"
        " took off 30 * 4 = 120 dollars. So 1800 - 120 = 1680 dollars came in.",
        "1680",
    ),
    Example(
        "Noor is three times as old as her nephew. In 6 years the nephew will be 14. How old is Noor now?",
        "First find the nephew's age today.",
        "The nephew is now 14 - 6 = 8. Noor is three times as old, so she is 3 * 8 = 24.",
        "24",
    ),
    Example(
        "A tank holds 240 litres and is one third full. A pump adds 20 litres a minute. After how many minutes is the"
        " tank full?",
        "Work out how many litres are missing.",
        "One third of 240 is 240 / 3 = 80 litres. Missing are 240 - 80 = 160 litres. At 20 litres a minute that takes"
        " 160 / 20 = 8 minutes.",
        "8",
    ),
    Example(
        "A shirt costs $40 and is marked down by 25%. Elif buys two of the shirts and a belt for $18. What does she"
        " pay?",
        "Find the lowered price of one shirt before adding things up.",
        "25% of 40 is 40 * 0.25 = 10 dollars, so a shirt costs 40 - 10 = 30 dollars. Two shirts are 2 * 30 = 60"
        " dollars. With the belt she pays 60 + 18 = 78 dollars.",
        "78",
    ),
    Example(
        "In a class of 28 pupils there are 4 more girls than boys. How many girls are there?",
        "Take the 4 extra girls away, then the two groups are equal.",
        "Without the 4 extra girls there are 28 - 4 = 24 pupils, half of them boys: 24 / 2 = 12 boys. So there are"
        " 12 + 4 = 16 girls.",
        "16",
    ),
    Example(
        "Three friends picked apples: Ana 14, Ben twice as many as Ana, and Cleo 7 fewer than Ben. They share them"
        " equally. How many does each get?",
        "Count the apples of each friend, then divide the sum by the number of friends.",
        "Ben picked 2 * 14 = 28 apples and Cleo picked 28 - 7 = 21. Together they have 14 + 28 + 21 = 63 apples."
        " Shared by three, each gets 63 / 3 = 21 apples.",
        "21",
    ),
)

COMPETITION = (
    Example(
        r"What is the sum of the solutions of $x^2 - 7x + 10 = 0$?",
        "The sum of the roots of a monic quadratic can be read off its coefficients; factoring checks it.",
        r"The left side factors as $(x - 2)(x - 5)$, so the solutions are $2$ and $5$. Their sum is $2 + 5 = 7$.",
        "7",
    ),
    Example(
        r"Two fair six-sided dice are rolled. What is the probability that the larger of the two numbers is $3$? If"
        r" both show the same number, that number counts as the larger.",
        "Count the pairs with both numbers at most 3, and take away those with both at most 2.",
        r"Both numbers are at most $3$ in $3 \cdot 3 = 9$ rolls, and both are at most $2$ in $2 \cdot 2 = 4$ rolls. So"
        r" the larger is $3$ in $9 - 4 = 5$ of the $36$ rolls.",
        r"\frac{5}{36}",
    ),
    Example(
        r"A right triangle has legs of length $6$ and $8$. What is the radius of the circle inscribed in it?",
        "Area equals the radius times half the perimeter.",
        r"The hypotenuse is $\sqrt{6^2 + 8^2} = 10$. The area is $\frac{1}{2} \cdot 6 \cdot 8 = 24$ and half of the"
        r" perimeter is $\frac{6 + 8 + 10}{2} = 12$. Since the area is the radius times half of the perimeter, the"
        r" radius is $\frac{24}{12} = 2$.",
        "2",
    ),
    Example(
        r"Simplify $\frac{\sqrt{50} + \sqrt{18}}{4}$.",
        "Take square factors out of the roots first.",
        r"We have $\sqrt{50} = 5\sqrt{2}$ and $\sqrt{18} = 3\sqrt{2}$, so the numerator is $8\sqrt{2}$. Divided by $4$"
        r" this is $2\sqrt{2}$.",
        r"2\sqrt{2}",
    ),
)
