"""The studies of one report: models trained with many seeds, their scores, and the pages about them."""
