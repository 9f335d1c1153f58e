"""What every film model's card says of its use and its limits, whatever it was trained on."""

from __future__ import annotations

INTENDED_USE = (
    "Reads frontal chest radiographs and gives each finding it was taught a calibrated probability, and a"
    " call at that finding's operating point.",
    "For radiologists of the site, who read every film themselves: it may raise a study's priority, never"
    " lower it, and says nothing where a film is not its to judge.",
)
LIMITS = (
    "It is research software, no medical device, and was validated on no patient population but the one named"
    " here.",
    "It knows the findings listed and no others: that nothing is called does not mean that a film is normal.",
    "Lateral films, other body parts and pictures unlike those it was taught with are turned away by gates"
    " that let some of them pass.",
    "Where it looked is not where a finding is, and of small findings its attention says next to nothing.",
    "A finding without an operating point had too few patients to set one: its probability is shown, nothing"
    " is called.",
)
