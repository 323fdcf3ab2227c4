"""The studies of one report: models trained over and over, what they score, and the pages about them."""
