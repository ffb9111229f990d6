"""From raw grey levels to normalised pictures and their illumination harmonics."""
