export { folderQueueStorage } from './queue/folder.js'
