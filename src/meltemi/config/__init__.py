"""The configuration file: what it may say, and what each mistake in it is called."""
