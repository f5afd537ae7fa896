"""The soak: the real daemon on hundreds of cards in a row, read all the while and disturbed; is it flat at the end?"""
