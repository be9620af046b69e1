<?php
// Lets mike42's escpos-tools take an ESC/POS stream apart: one JSON object a command. Our own glue; the tools
// themselves are found in the folders of the environment: argv: FILE, folder of escpos-tools, folder of escpos-php.
error_reporting(E_ERROR);
spl_autoload_register(function ($class) use ($argv) {
    $folders = ['ReceiptPrintHq\\EscposTools\\' => $argv[2] . '/src/', 'Mike42\\' => $argv[3] . '/src/Mike42/'];
    foreach ($folders as $prefix => $folder) {
        $file = $folder . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (strncmp($class, $prefix, strlen($prefix)) === 0 && file_exists($file)) {
            require $file;
        }
    }
});
$parser = new ReceiptPrintHq\EscposTools\Parser\Parser();
$parser->addFile(fopen($argv[1], 'rb'));
foreach ($parser->getCommands() as $command) {
    $names = explode('\\', get_class($command));
    $told = ['name' => array_pop($names)];
    if ($command->isAvailableAs('TextContainer')) {
        $told['text'] = bin2hex($command->getText());
    }
    if ($command->isAvailableAs('ImageContainer')) {
        $told['picture'] = base64_encode($command->asPbm());
    }
    echo json_encode($told), "\n";
}
