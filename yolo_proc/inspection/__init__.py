"""What is in a data set, or in what a generator draws: measured, told, shown."""
