"""What all rooms share: who is asked for, money, codes, card numbers kept out."""
