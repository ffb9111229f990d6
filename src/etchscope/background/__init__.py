"""What a foil can tell everywhere on it: limits on the number and the flux of particles."""
