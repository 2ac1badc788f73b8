/* Names of nobody, for masks. 64 of each, so that a byte picks them evenly. ASCII, so that they fit wherever
 * the real ones did. */
#ifndef ENGINE_MASK_NAMES_H
#define ENGINE_MASK_NAMES_H

static const char *const MASK_FIRST_NAMES[64] = {"Ada", "Alma", "Anders", "Anton", "Arun", "Asha", "Bela",
    "Boris", "Carla", "Cem", "Chen", "Clara", "Daria", "David", "Diego", "Dora", "Elif", "Emil", "Enzo",
    "Esra", "Femi", "Flora", "Frida", "Goran", "Greta", "Hana", "Hugo", "Ida", "Igor", "Ines", "Ivan", "Jana",
    "Jonas", "Kaito", "Karim", "Kira", "Lara", "Leon", "Lina", "Luis", "Mara", "Marco", "Mia", "Milan",
    "Nadia", "Niko", "Nora", "Olga", "Omar", "Oskar", "Paula", "Petra", "Quinn", "Rafael", "Rosa", "Sami",
    "Selma", "Stefan", "Tara", "Theo", "Uma", "Viktor", "Yara", "Zoe"};

static const char *const MASK_LAST_NAMES[64] = {"Abe", "Adler", "Alves", "Arslan", "Bauer", "Berg", "Bianchi",
    "Brown", "Castro", "Chopra", "Costa", "Dahl", "Demir", "Diaz", "Dumont", "Eriksen", "Farkas", "Fischer",
    "Fontaine", "Garcia", "Gomez", "Gruber", "Haas", "Hansen", "Huber", "Ibrahim", "Ito", "Jansen", "Kaya",
    "Keller", "Khan", "Kim", "Klein", "Kovacs", "Kumar", "Lang", "Larsen", "Lopez", "Marino", "Martin",
    "Mendes", "Meyer", "Moreau", "Nagy", "Nielsen", "Novak", "Okafor", "Ortega", "Patel", "Petrov", "Ramos",
    "Ricci", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Tanaka", "Toth", "Vargas", "Wagner", "Weber",
    "Yilmaz", "Zhang"};

#endif
