rm -f leftovers
